// Builds the Worker: cargo → wasm-bindgen → wasm-opt → esbuild, into build/worker/, and
// the documentation page beside it, into build/assets/.
//
// `std` is compiled anew with panic=unwind, so that a panic becomes a JavaScript exception that the
// caller sees at once; with the shipped `std` a panic in an object leaves its caller waiting for ever.
// `-Zbuild-std` asks for a nightly compiler; RUSTC_BOOTSTRAP=1 lets the stable one do it.
//
//   node scripts/build.mjs           optimised for size: what is deployed
//   node scripts/build.mjs --fast    for trying things out: incremental, no wasm-opt
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { collectAssets } from "./assets.mjs";
import { cargoTool, nodeModules, rust, wranglerNode } from "./install.mjs";
import { BINDGEN_OUT, MODULES, ROOT, WASM_TARGET, WORKER_OUT } from "./paths.mjs";
import { Trouble, program, run, say } from "./processes.mjs";

/** What the deployed Wasm may weigh, compressed. Far under the platform's limit: it bounds start-up time.
 * Attached servers alone took 972 KiB; the rest is room for vendors, rented GPUs and their money. */
export const BUDGET_BYTES = 2048 * 1024;

/** The features that rustc's wasm target and wasm-bindgen's exception wrappers use, and no newer ones. */
const WASM_FEATURES = ["mutable-globals", "sign-ext", "nontrapping-float-to-int", "bulk-memory", "multivalue", "reference-types", "exception-handling"];

const FAST_PROFILE = ['inherits="release"', 'lto="off"', "opt-level=1", "codegen-units=16", "incremental=true"];

async function compile(fast) {
  say(fast ? "compiling to Wasm (fast profile)" : "compiling to Wasm (the first time takes a minute or two)");
  const profile = fast ? "wasm-fast" : "release";
  const target = join(ROOT, "target", "wasm");
  await run("cargo build", "cargo", [
    "build", "--package", "tidegate-workers", "--lib", "--target", WASM_TARGET, "--target-dir", target,
    "-Zbuild-std=std,panic_unwind", "--profile", profile, ...FAST_PROFILE.flatMap((setting) => ["--config", `profile.wasm-fast.${setting}`]),
  ], { env: { RUSTC_BOOTSTRAP: "1", CARGO_ENCODED_RUSTFLAGS: "-Cpanic=unwind" } });
  return join(target, WASM_TARGET, profile, "tidegate_workers.wasm");
}

async function bind(wasm) {
  const bindgen = await cargoTool("wasm-bindgen");
  rmSync(BINDGEN_OUT, { recursive: true, force: true });
  await run("wasm-bindgen", bindgen, [
    wasm, "--out-dir", BINDGEN_OUT, "--out-name", "index", "--target", "module",
    // Lets a trap (out of memory, stack overflow) be followed by a fresh instance.
    "--experimental-reset-state-function",
  ]);
  return join(BINDGEN_OUT, "index_bg.wasm");
}

async function optimise(wasm) {
  say("optimising the Wasm");
  // wasm-opt is itself JavaScript; the names are kept, because a panic's trace is worthless without.
  await run("wasm-opt", wranglerNode(), [
    join(MODULES, "binaryen", "bin", "wasm-opt"), wasm, "-o", wasm, "-O", "--debuginfo", ...WASM_FEATURES.map((name) => `--enable-${name}`),
  ]);
}

async function bundle(staging, fast) {
  await run("esbuild", process.execPath, [
    join(MODULES, "esbuild", "bin", "esbuild"), join(ROOT, "workers", "host", "main.ts"), "--bundle", "--format=esm", "--target=esnext",
    `--alias:tidegate-wasm=${join(BINDGEN_OUT, "index.js")}`, "--external:./index_bg.wasm", "--external:cloudflare:*",
    `--outfile=${join(staging, "index.js")}`, "--log-level=warning", ...(fast ? [] : ["--minify-whitespace", "--minify-syntax"]),
  ]);
  const script = join(staging, "index.js");
  // workerd hands out the compiled module on a plain import; the source-phase form is not accepted yet.
  writeFileSync(script, readFileSync(script, "utf8").replace(/\bimport source /, "import "));
}

function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((file) => file.isFile())
    .map((file) => join(file.parentPath ?? file.path, file.name))
    .sort();
}

function fingerprint(wasm, fast) {
  const hash = createHash("sha256").update(String(fast));
  const sources = [wasm, join(ROOT, "package-lock.json"), fileURLToPath(import.meta.url), ...filesBelow(join(ROOT, "workers")).filter((f) => /\.(ts|js|json)$/.test(f))];
  for (const path of sources) hash.update(readFileSync(path));
  return hash.digest("hex");
}

/** Builds when something changed, and hands back the sizes in bytes. */
export async function build({ fast = false } = {}) {
  await nodeModules();
  await rust();
  const wasm = await compile(fast);
  const stamp = join(WORKER_OUT, ".inputs");
  const wanted = fingerprint(wasm, fast);
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== wanted) {
    const staging = `${WORKER_OUT}.next`;
    rmSync(staging, { recursive: true, force: true });
    mkdirSync(staging, { recursive: true });
    const bound = await bind(wasm);
    if (!fast) await optimise(bound);
    await bundle(staging, fast);
    renameSync(bound, join(staging, "index_bg.wasm"));
    writeFileSync(join(staging, ".inputs"), wanted);
    rmSync(WORKER_OUT, { recursive: true, force: true });
    renameSync(staging, WORKER_OUT);
  }
  collectAssets();
  return weigh();
}

function weigh() {
  const of = (name) => {
    const bytes = readFileSync(join(WORKER_OUT, name));
    return { raw: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length };
  };
  return { wasm: of("index_bg.wasm"), script: of("index.js") };
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await program(async () => {
    const fast = process.argv.includes("--fast");
    const began = Date.now();
    const { wasm, script } = await build({ fast });
    const kib = (bytes) => `${(bytes / 1024).toFixed(0)} KiB`;
    say(`built in ${((Date.now() - began) / 1000).toFixed(1)} s: Wasm ${kib(wasm.raw)} (${kib(wasm.gzip)} gzip), script ${kib(script.raw)} (${kib(script.gzip)} gzip)`);
    if (!fast && wasm.gzip > BUDGET_BYTES) throw new Trouble(`the Wasm is ${kib(wasm.gzip)} compressed, over its budget of ${kib(BUDGET_BYTES)}. Find what grew with: cargo install twiggy`);
  });
}
