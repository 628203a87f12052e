// The built bundle in workerd, with real clients, a real model server and scripted upstreams.
//
//   node tests/e2e/run.mjs                     everything
//   node tests/e2e/run.mjs --only streams,sdk  suites whose name begins so
//   node tests/e2e/run.mjs --full              the long forms too (2,000 requests instead of 500)
//   node tests/e2e/run.mjs --fast              a build for trying things out; --built: the one that is there
//   node tests/e2e/run.mjs --write             keeps the scorecard in docs/scorecard.md
//
// At the end everything that the run left is scanned for its secrets (harness/scan.mjs).
// Files are suites: `<name>.test.mjs` for Node, `<name>_test.py` for Python. They share one gateway and
// one model server; each test has an organisation and upstreams of its own, so suites run side by side.
// Those named in ALONE measure time or memory and run by themselves.
import { mkdtempSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "../../scripts/build.mjs";
import { nodeModules, python } from "../../scripts/install.mjs";
import { ROOT } from "../../scripts/paths.mjs";
import { Trouble, endAll, program, run, say, start } from "../../scripts/processes.mjs";
import { ADMIN_KEY, Gateway } from "./harness/gateway.mjs";
import { Running } from "./harness/process.mjs";
import { report, scan } from "./harness/scan.mjs";
import { ANSWER, PROMPT, secret } from "./harness/secrets.mjs";
import { scorecard } from "./scorecard.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const ALONE = ["overhead", "scorecard"];
/** Suites about clients that go without the official client's newest release: an environment of their own. */
const CLIENTS = ["langchain", "litellm", "pydantic_ai"];
/** More would measure the machine's patience: two cores run the gateway, the upstreams and the tests. */
const SIDE_BY_SIDE = 3;

function suites(only) {
  const files = readdirSync(HERE).filter((file) => /(\.test\.mjs|_test\.py)$/.test(file));
  const all = files.map((file) => ({ name: file.replace(/(\.test\.mjs|_test\.py)$/, ""), file: join(HERE, file), python: file.endsWith(".py") }));
  const chosen = all.filter(({ name }) => only === null || only.some((wanted) => name.startsWith(wanted)));
  if (chosen.length === 0) throw new Trouble(`no suite begins so. Suites: ${all.map(({ name }) => name).join(", ")}`);
  return chosen;
}

async function modelServer(interpreter, log) {
  const server = new Running("the model server", interpreter, [join(ROOT, "tests", "model-server", "serve.py")], { log, speaks: true });
  return JSON.parse(await server.line((line) => line.startsWith("{")));
}

/** Runs one runner in a process group of its own, so that nothing it started can outlive it. */
async function runner(name, command, args, env) {
  const entry = start(name, command, args, { cwd: HERE, env });
  const why = await entry.exit;
  entry.end("SIGKILL");
  return why === "exit code 0" ? [] : [`${name}: ${why}`];
}

/** Node's runner is content with files that hold no test it can see; we are not: `tap` counts them. */
async function nodeTests(name, files, env, concurrency, folder) {
  if (files.length === 0) return [];
  const tap = join(folder, `${name}.tap`);
  const reporters = ["--test-reporter=spec", "--test-reporter-destination=stdout", "--test-reporter=tap", `--test-reporter-destination=${tap}`];
  const failures = await runner(name, process.execPath, ["--test", `--test-concurrency=${concurrency}`, ...reporters, ...files.map(({ file }) => file)], env);
  const passed = Number(readFileSync(tap, "utf8").match(/^# pass (\d+)$/m)?.[1] ?? 0);
  return failures.length === 0 && passed < files.length ? [`${name}: only ${passed} tests ran`] : failures;
}

/** A workspace of its own that is built beside ours. */
function rustClient() {
  const target = process.env.CARGO_TARGET_DIR ?? join(ROOT, "target");
  say("building the program for async-openai (the first time about a minute)");
  return run("cargo build", "cargo", ["build", "--quiet", "--locked", "--manifest-path", join(HERE, "async_openai", "Cargo.toml"), "--target-dir", target]);
}

async function pythonTests({ name, file }, env, interpreter) {
  const own = CLIENTS.includes(name) ? await python(join(HERE, "clients.txt")) : interpreter;
  say(`${name}: Python`);
  return runner(name, own, ["-m", "unittest", "--verbose", file], env);
}

async function perform(chosen, env, interpreter, folder) {
  const alone = chosen.filter(({ name }) => ALONE.includes(name));
  const together = chosen.filter((suite) => !alone.includes(suite) && !suite.python);
  const failures = [];
  for (const suite of chosen.filter((suite) => suite.python)) failures.push(...(await pythonTests(suite, env, interpreter)));
  if (together.length > 0) say(`Node, side by side: ${together.map(({ name }) => name).join(", ")}`);
  failures.push(...(await nodeTests("node", together, env, SIDE_BY_SIDE, folder)));
  for (const suite of alone) {
    say(`${suite.name}: Node, by itself`);
    failures.push(...(await nodeTests(suite.name, [suite], env, 1, folder)));
  }
  return failures;
}

await program(async () => {
  const args = process.argv.slice(2);
  const only = args.includes("--only") ? (args[args.indexOf("--only") + 1] ?? "").split(",") : null;
  const chosen = suites(only);
  const began = Date.now();
  await nodeModules();
  if (!args.includes("--built")) await build({ fast: args.includes("--fast") });
  await run("cargo build", "cargo", ["build", "--quiet", "--package", "tidegate-upstream", "--package", "tidegate-simcloud", "--package", "tidegate-sweep"]);
  if (chosen.some(({ name }) => name === "async_openai")) await rustClient();
  const requirements = [join(ROOT, "tests", "model-server", "requirements.txt"), join(HERE, "requirements.txt")];
  const interpreter = process.env.TIDEGATE_PYTHON ?? (await python(...requirements));
  const folder = mkdtempSync(join(tmpdir(), "tidegate-e2e-run-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const figures = join(folder, "figures.jsonl");
  say("starting the model server and the gateway");
  const model = await modelServer(interpreter, join(folder, "model-server.log"));
  process.env.TIDEGATE_E2E_KEPT = folder;
  secret("prompt", PROMPT);
  secret("answer", ANSWER);
  const gateway = await Gateway.start();
  const env = {
    TIDEGATE_E2E: JSON.stringify({ url: gateway.url, admin_key: ADMIN_KEY, model }),
    TIDEGATE_E2E_KEPT: folder,
    TIDEGATE_FIGURES: figures,
    TIDEGATE_E2E_FULL: args.includes("--full") ? "1" : "0",
    TIDEGATE_PYTHON: interpreter,
    PYTHONDONTWRITEBYTECODE: "1",
  };
  const failures = await perform(chosen, env, interpreter, folder);
  if (!gateway.isRunning) failures.push("the shared gateway ended by itself");
  const seconds = Math.round((Date.now() - began) / 1000);
  console.log(`\n${scorecard(figures, { write: args.includes("--write") })}`);
  if (failures.length > 0 && process.env.TIDEGATE_E2E_LOG) console.log(readFileSync(gateway.log, "utf8"));
  await gateway.kill();
  await endAll();
  const scanned = scan(folder);
  console.log(report(scanned, { more: process.env.TIDEGATE_E2E_LOG !== undefined }));
  if (scanned.found.length > 0) failures.push(`${scanned.found.length} secrets were left behind`);
  if (scanned.blind.length > 0) failures.push("the secret scan is blind");
  console.log(failures.length === 0 ? `e2e passed in ${seconds} s` : `e2e FAILED in ${seconds} s: ${failures.join("; ")}`);
  process.exit(failures.length === 0 ? 0 : 1);
});
