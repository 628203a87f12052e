// Where things are, and which versions of the tools are used. Everything else asks here.
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
export const CACHE = process.env.TIDEGATE_CACHE ?? join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "tidegate");
export const STATE = join(ROOT, ".tidegate");
export const MODULES = join(ROOT, "node_modules");

export const BINDGEN_OUT = join(ROOT, "build", "bindgen");
export const WORKER_OUT = join(ROOT, "build", "worker");
/** What the documentation page is made of, beside the script that serves it. */
export const ASSETS_OUT = join(ROOT, "build", "assets");
export const WASM_TARGET = "wasm32-unknown-unknown";

/** The oldest compiler the workspace accepts: `rust-version` in Cargo.toml. */
export const MIN_RUST = [1, 95];
export const MIN_NODE = [20, 0];
/** wrangler 4.164 refuses anything older; npm brings a Node of its own for that case. */
export const MIN_WRANGLER_NODE = [22, 12];
export const MIN_PYTHON = [3, 10];

/** Cargo tools, installed into the cache under `<name>-<version>`. */
export const CARGO_TOOLS = {
  // Must equal the wasm-bindgen in Cargo.lock: the two ends speak an unversioned private format.
  "wasm-bindgen": { crate: "wasm-bindgen-cli", version: "0.2.129", locked: false },
  // The last line of 0.19 that the workspace's compiler builds.
  "cargo-deny": { crate: "cargo-deny", version: "0.19.9", locked: true },
  "cargo-mutants": { crate: "cargo-mutants", version: "27.1.0", locked: true },
};

/** True when the dotted `version` is at least `wanted`, an array of numbers. */
export function atLeast(version, wanted) {
  const have = version.split(".").map(Number);
  for (const [i, want] of wanted.entries()) {
    if ((have[i] ?? 0) !== want) return (have[i] ?? 0) > want;
  }
  return true;
}
