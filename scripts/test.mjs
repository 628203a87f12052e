// `npm test`: every check of the project, one after the other, then a table and one closing line.
//
//   npm test                        everything
//   npm test -- --only unit,lint    these steps
//   npm test -- --skip e2e,sim      all but these
//   npm test -- --list              their names
//
// A step passes, fails, or says that it could not check (a database out of reach) and why.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { BUDGET_BYTES, build } from "./build.mjs";
import { cargoTool, nodeModules, python, rust, wranglerNode } from "./install.mjs";
import { MODULES, ROOT, WASM_TARGET } from "./paths.mjs";
import { Trouble, program, run, runToEnd, say } from "./processes.mjs";

/** Crates that must not notice which host they run under: they compile for Wasm without one. */
const PURE = ["tidegate-domain", "tidegate-durable", "tidegate-edge", "tidegate-egress", "tidegate-provider-api", "tidegate-provider-aws", "tidegate-provider-calls", "tidegate-provider-runpod", "tidegate-providers", "tidegate-vault", "tidegate-wire-openai", "tidegate-wire-webhooks"];
const NATIVE = ["--workspace", "--exclude", "tidegate-workers"];
const WORKERS = ["--package", "tidegate-workers", "--target", WASM_TARGET];

/** Thrown by a step that could neither pass nor fail. */
class NotChecked extends Error {}

const cargo = (...args) => run(`cargo ${args[0]}`, "cargo", args);

async function lockFile() {
  const { code } = await runToEnd("cargo", ["metadata", "--locked", "--format-version=1"], { stdio: ["ignore", "ignore", "inherit"] });
  if (code !== 0) throw new Trouble("Cargo.lock does not match the manifests; run cargo check and commit Cargo.lock");
}

async function advisories() {
  const deny = await cargoTool("cargo-deny");
  const fetched = await runToEnd(deny, ["fetch", "db"]);
  const copies = join(process.env.CARGO_HOME ?? join(homedir(), ".cargo"), "advisory-dbs");
  const kept = existsSync(copies) && readdirSync(copies, { recursive: true }).some((name) => name.endsWith(".md"));
  if (fetched.code !== 0 && !kept) throw new NotChecked("the RustSec database is out of reach and no copy of it is kept here");
  // A copy from an earlier day still counts; cargo-deny refuses one older than 90 days.
  await run("cargo-deny", deny, ["check", "--disable-fetch", "advisories"]);
  return fetched.code === 0 ? "" : "against the copy kept from before: the database is out of reach";
}

async function npmAudit() {
  await nodeModules();
  // npm's exit code says "found some" and "could not ask" alike: only the report tells them apart.
  const { stdout } = spawnSync("npm", ["audit", "--json"], { cwd: ROOT, encoding: "utf8", maxBuffer: 1 << 26 });
  const found = stdout.trimStart().startsWith("{") ? JSON.parse(stdout).metadata?.vulnerabilities : null;
  if (!found) throw new NotChecked("the registry's advisory service is out of reach");
  const serious = found.high + found.critical;
  if (serious > 0) throw new Trouble(`npm audit reports ${serious} serious advisories; see: npm audit`);
}

async function wasm() {
  const { wasm: size } = await build();
  if (size.gzip > BUDGET_BYTES) throw new Trouble(`the Wasm is ${size.gzip} bytes compressed, over its budget of ${BUDGET_BYTES}`);
  return `${(size.gzip / 1024).toFixed(0)} of ${BUDGET_BYTES / 1024} KiB compressed`;
}

async function types() {
  // The declarations of the Wasm exports come with the build.
  await build();
  await run("tsc", process.execPath, [join(MODULES, "typescript", "bin", "tsc"), "--project", join(ROOT, "workers", "host")]);
}

async function deployDryRun() {
  await build();
  await run("wrangler", wranglerNode(), [join(MODULES, "wrangler", "bin", "wrangler.js"), "deploy", "--dry-run"], { env: { WRANGLER_SEND_METRICS: "false" } });
}

/** Seeds of each world that `tests/sim` simulates. */
const SEEDS = { gateway: 10_000, renting: 5_000 };

async function simulate() {
  for (const [world, runs] of Object.entries(SEEDS)) await cargo("run", "--package", "tidegate-sim", "--profile", "sim", "--", "--world", world, "--runs", String(runs));
}

async function endToEnd() {
  const tests = join(ROOT, "tests", "e2e");
  const requirements = [join(ROOT, "tests", "model-server", "requirements.txt"), join(tests, "requirements.txt")];
  await build();
  const interpreter = await python(...requirements);
  await run("tests/e2e", wranglerNode(), [join(tests, "run.mjs")], { env: { TIDEGATE_PYTHON: interpreter } });
}

async function contract() {
  await build();
  await run("tests/contract", wranglerNode(), [join(ROOT, "tests", "contract", "run.mjs"), "--built"]);
}

async function oracles() {
  for (const name of ["simcloud", "aws"]) await run(`tests/oracles/${name}`, process.execPath, [join(ROOT, "tests", "oracles", name, "run.mjs")]);
  return process.env.TIDEGATE_SPECS === undefined ? "without RunPod's OpenAPI document: TIDEGATE_SPECS is not set" : "";
}

const STEPS = [
  { name: "format", what: "cargo fmt", run: () => cargo("fmt", "--all", "--check") },
  { name: "tidy", what: "the project's own layout rules", run: () => cargo("run", "--quiet", "--package", "xtask", "--", "tidy") },
  { name: "promises", what: "the API keeps what the released contract promised", run: () => cargo("run", "--quiet", "--package", "xtask", "--", "contract") },
  { name: "lock", what: "Cargo.lock matches the manifests", run: lockFile },
  { name: "lint", what: "clippy, warnings refused", run: () => cargo("clippy", ...NATIVE, "--all-targets", "--", "-D", "warnings") },
  { name: "lint-workers", what: "clippy on the Wasm host", run: () => cargo("clippy", ...WORKERS, "--", "-D", "warnings") },
  { name: "unit", what: "story, property and corpus tests", run: () => cargo("test", ...NATIVE) },
  { name: "pure", what: "host-free crates compile for Wasm", run: () => cargo("check", "--target", WASM_TARGET, ...PURE.flatMap((name) => ["--package", name])) },
  { name: "docs", what: "cargo doc, warnings refused", run: () => run("cargo doc", "cargo", ["doc", ...NATIVE, "--no-deps"], { env: { RUSTDOCFLAGS: "-D warnings" } }) },
  { name: "deny", what: "licences, sources, banned crates", run: async () => run("cargo-deny", await cargoTool("cargo-deny"), ["check", "bans", "licenses", "sources"]) },
  { name: "advisories", what: "RustSec", run: advisories },
  { name: "audit", what: "npm audit", run: npmAudit },
  { name: "wasm", what: "the Worker builds within its size budget", run: wasm },
  { name: "types", what: "the TypeScript host against the Wasm exports", run: types },
  { name: "deploy", what: "wrangler deploy --dry-run", run: deployDryRun },
  { name: "sim", what: "10,000 seeds of requests and 5,000 of renting, simulated", run: simulate },
  { name: "contract", what: "requests made from the OpenAPI document, and no surprise in any answer", run: contract },
  { name: "oracles", what: "AWS's own client and stand-in, and RunPod's API description, against our codec and pretend clouds", run: oracles },
  { name: "e2e", what: "the bundle in workerd with real clients", run: endToEnd },
];

function chosen(args) {
  const names = (flag) => {
    const at = args.indexOf(flag);
    return at < 0 ? null : (args[at + 1] ?? "").split(",");
  };
  const only = names("--only");
  const skip = names("--skip") ?? [];
  for (const name of [...(only ?? []), ...skip]) {
    if (!STEPS.some((step) => step.name === name)) throw new Trouble(`there is no step "${name}". Steps: ${STEPS.map((step) => step.name).join(", ")}`);
  }
  return STEPS.filter(({ name }) => (only === null || only.includes(name)) && !skip.includes(name));
}

const duration = (ms) => (ms < 90_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`);

async function perform(step) {
  const began = Date.now();
  const done = (outcome, note = "") => ({ ...step, outcome, note, took: Date.now() - began });
  try {
    return done("passed", await step.run());
  } catch (error) {
    if (error instanceof NotChecked) return done("not checked", error.message);
    if (error instanceof Trouble) return done("FAILED", error.message);
    throw error;
  }
}

await program(async () => {
  const args = process.argv.slice(2);
  if (args.includes("--list")) return STEPS.forEach(({ name, what }) => console.log(`${name.padEnd(14)}${what}`));
  const steps = chosen(args);
  await rust();
  const results = [];
  for (const [i, step] of steps.entries()) {
    say(`[${i + 1}/${steps.length}] ${step.name}: ${step.what}`);
    const result = await perform(step);
    say(`[${i + 1}/${steps.length}] ${step.name}: ${result.outcome} after ${duration(result.took)}${result.note ? ` (${result.note})` : ""}\n`);
    results.push(result);
  }
  console.log("step          outcome      time");
  for (const { name, outcome, took, note } of results) console.log(`${name.padEnd(14)}${outcome.padEnd(13)}${duration(took).padEnd(14)}${note ?? ""}`.trimEnd());
  const count = (outcome) => results.filter((result) => result.outcome === outcome).length;
  if (count("not checked") > 0) console.log(`\n${count("not checked")} not checked: see the reasons above`);
  console.log(`\n${count("passed")} passed, ${count("FAILED")} failed`);
  if (count("FAILED") > 0) process.exitCode = 1;
});
