// Collects what `/openapi.json` and `/docs` are made of into build/assets: the contract, our page, and its
// renderer from npm. `edge/src/assets.rs` names the same files.
import { copyFileSync, mkdirSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import { ASSETS_OUT, MODULES, ROOT } from "./paths.mjs";

const RENDERER = join(MODULES, "swagger-ui-dist");
const OURS = join(ROOT, "workers", "assets");

const FILES = [
  join(ROOT, "schemas", "openapi", "openapi.json"),
  ...["docs.html", "docs.js", "docs.css"].map((name) => join(OURS, name)),
  ...["swagger-ui-bundle.js", "swagger-ui.css"].map((name) => join(RENDERER, name)),
];

/** What is there from before may belong to another release of the renderer. */
export function collectAssets() {
  rmSync(ASSETS_OUT, { recursive: true, force: true });
  mkdirSync(ASSETS_OUT, { recursive: true });
  for (const file of FILES) copyFileSync(file, join(ASSETS_OUT, basename(file)));
}
