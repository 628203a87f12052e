// `npm run deploy`: wrangler's own deploy, on a Node that wrangler accepts. Arguments pass through.
import { join } from "node:path";
import { nodeModules, wranglerNode } from "./install.mjs";
import { MODULES } from "./paths.mjs";
import { program, run } from "./processes.mjs";

await program(async () => {
  await nodeModules();
  const wrangler = join(MODULES, "wrangler", "bin", "wrangler.js");
  await run("wrangler deploy", wranglerNode(), [wrangler, "deploy", ...process.argv.slice(2)], { stdio: "inherit" });
});
