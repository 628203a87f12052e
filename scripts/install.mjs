// Brings what a fresh machine lacks. Each function does nothing when its thing is there already.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { CACHE, CARGO_TOOLS, MIN_NODE, MIN_PYTHON, MIN_RUST, MIN_WRANGLER_NODE, MODULES, ROOT, WASM_TARGET, atLeast } from "./paths.mjs";
import { Trouble, ask, run, say } from "./processes.mjs";

const digest = (path) => createHash("sha256").update(readFileSync(path)).digest("hex").slice(0, 16);

/** `npm ci` when `node_modules` is absent or belongs to another lock file. */
export async function nodeModules() {
  if (!atLeast(process.versions.node, MIN_NODE)) {
    throw new Trouble(`Node ${MIN_NODE[0]} or newer is needed; this is ${process.versions.node}. See https://nodejs.org.`);
  }
  const stamp = join(MODULES, ".tidegate-lock");
  const wanted = digest(join(ROOT, "package-lock.json"));
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  say("installing the npm packages (once, about half a minute)");
  // No package runs a script of its own: those that have one (esbuild, workerd) only check themselves with it.
  await run("npm ci", "npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]);
  writeFileSync(stamp, wanted);
}

/** A Node that wrangler accepts: this one, or the one npm brought. */
export function wranglerNode() {
  if (atLeast(process.versions.node, MIN_WRANGLER_NODE)) return process.execPath;
  const brought = join(MODULES, ".bin", "node");
  if (existsSync(brought)) return brought;
  throw new Trouble(
    `wrangler needs Node ${MIN_WRANGLER_NODE.join(".")} and npm has none for ${process.platform}-${process.arch}. Install a newer Node (https://nodejs.org) and start again.`,
  );
}

/** The compiler, the wasm target and the library sources that a rebuilt `std` needs. */
export async function rust() {
  let version = ask("rustc", ["--version"]);
  if (version === null && ask("rustup", ["--version"]) !== null) {
    say("installing the Rust toolchain named in rust-toolchain.toml");
    await run("rustup", "rustup", ["toolchain", "install"]);
    version = ask("rustc", ["--version"]);
  }
  if (version === null) throw new Trouble("Rust is missing. Install it with rustup (https://rustup.rs) and start again.");
  if (!atLeast(version.split(" ")[1], MIN_RUST)) {
    throw new Trouble(`Rust ${MIN_RUST.join(".")} or newer is needed; this is "${version}". Run: rustup update stable`);
  }
  const sysroot = ask("rustc", ["--print", "sysroot"]);
  if (!existsSync(join(sysroot, "lib", "rustlib", WASM_TARGET))) {
    say(`adding the ${WASM_TARGET} target`);
    await run("rustup", "rustup", ["target", "add", WASM_TARGET]);
  }
  if (!existsSync(join(sysroot, "lib", "rustlib", "src", "rust", "library", "Cargo.lock"))) {
    say("adding the standard library's sources");
    await run("rustup", "rustup", ["component", "add", "rust-src"]);
  }
}

/** The path of a tool listed in `CARGO_TOOLS`, compiled into the cache on first use. */
export async function cargoTool(name) {
  const { crate, version, locked } = CARGO_TOOLS[name];
  const root = join(CACHE, "tools", `${name}-${version}`);
  const binary = join(root, "bin", name);
  if (existsSync(binary)) return binary;
  say(`compiling ${crate} ${version} (once, two to four minutes; kept in ${root})`);
  mkdirSync(root, { recursive: true });
  // Kept until the tool is complete, so that an interrupted compilation is taken up again.
  const target = join(CACHE, "tools", `.build-${name}-${version}`);
  await run(`Installing ${crate}`, "cargo", [
    "install", crate, "--version", `=${version}`, "--root", root, "--target-dir", target, ...(locked ? ["--locked"] : []),
  ], {
    // These tools run for milliseconds; compiling them is what costs.
    env: { CARGO_PROFILE_RELEASE_OPT_LEVEL: "1", CARGO_PROFILE_RELEASE_LTO: "off", CARGO_PROFILE_RELEASE_CODEGEN_UNITS: "16" },
  });
  rmSync(target, { recursive: true, force: true });
  return binary;
}

/** The path of a Chromium: the one in CHROMIUM, one that is installed, else Debian's own package. */
export async function chromium() {
  const find = () => {
    const names = process.env.CHROMIUM ? [process.env.CHROMIUM] : ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    return names.find((name) => ask(name, ["--version"]) !== null);
  };
  const found = find();
  if (found !== undefined) return resolveProgram(found);
  if (process.env.CHROMIUM || process.getuid?.() !== 0 || ask("apt-get", ["--version"]) === null) {
    throw new Trouble("Chromium is missing. Install it (Debian: apt-get install chromium), or name one with CHROMIUM=/path/to/chromium.");
  }
  say("installing Chromium (once)");
  await run("apt-get update", "apt-get", ["update", "-qq"]);
  await run("apt-get install", "apt-get", ["install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-liberation"], { env: { DEBIAN_FRONTEND: "noninteractive" } });
  const installed = find();
  if (installed === undefined) throw new Trouble("Debian's chromium was installed and does not start; see the output above.");
  return resolveProgram(installed);
}

function resolveProgram(name) {
  if (name.includes("/")) return name;
  const folder = (process.env.PATH ?? "").split(delimiter).find((each) => existsSync(join(each, name)));
  return join(folder ?? "", name);
}

function findPython() {
  const names = process.env.PYTHON ? [process.env.PYTHON] : ["python3", "python3.14", "python3.13", "python3.12", "python3.11", "python3.10", "python"];
  for (const name of names) {
    const version = ask(name, ["-c", "import sys; print('.'.join(map(str, sys.version_info[:3])))"]);
    if (version !== null && atLeast(version, MIN_PYTHON)) return name;
  }
  throw new Trouble(`Python ${MIN_PYTHON.join(".")} or newer is needed (looked for ${names.join(", ")}). Name one with PYTHON=/path/to/python3.`);
}

/** The interpreter of a virtual environment in the cache that holds exactly what the given files require. */
export async function python(...requirements) {
  for (const file of requirements) {
    if (!existsSync(file)) throw new Trouble(`${file} is missing: is the checkout complete?`);
  }
  const venv = join(CACHE, "python", requirements.map(digest).join("-"));
  const interpreter = join(venv, "bin", "python");
  const stamp = join(venv, ".complete");
  if (existsSync(stamp)) return interpreter;
  const base = findPython();
  say(`creating a Python environment in ${venv} (once)`);
  rmSync(venv, { recursive: true, force: true });
  mkdirSync(venv, { recursive: true });
  await run("Creating the Python environment", base, ["-m", "venv", venv]);
  await run("pip", interpreter, ["-m", "pip", "install", "--disable-pip-version-check", ...requirements.flatMap((file) => ["-r", file])]);
  writeFileSync(stamp, "");
  return interpreter;
}
