// Measures the upstream alone, the platform's floor, Tidegate and other gateways, side by side in one
// run, and writes bench/RESULTS.md; with --write the table in README.md too. Builds and installs what
// is missing. A full run takes about ten minutes besides.
//
//   node bench/run.mjs [--write] [--quick] [--rounds 5] [--seconds 1.2] [--connections 1,16,64]
//                      [--modes long,start,plain,stream,burst]
//                      [--targets direct,floor,floor-rpc,floor-sql,floor-pump,tidegate,portkey-workerd,portkey-node,litellm]
//                      [--out bench/RESULTS.md]
//                      [--gateway-url U (--gateway-admin-key K | --gateway-key K --upstream-url U) --gateway-pid P]
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, release, totalmem, type } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { BUDGET_BYTES, build } from "../scripts/build.mjs";
import { ROOT } from "../scripts/paths.mjs";
import { Trouble, ask, endAll, program, run, say } from "../scripts/processes.mjs";
import { measure } from "./load.mjs";
import { residentMiB } from "./proc.mjs";
import { report } from "./report.mjs";
import { coldStarts, isolates } from "./startup.mjs";
import { summary, verdicts } from "./summary.mjs";
import { FLOORS, SCRATCH, binary, order, startFloor, startGateway, startUpstream, untilServing, useGateway, workerdProgram } from "./targets.mjs";

const README = join(ROOT, "README.md");
const MARK = "<!-- bench -->";
const NOTES = "\n# Notes\n";

const PEERS = ["portkey-workerd", "portkey-node", "litellm"];
const TARGETS = ["direct", ...FLOORS, "tidegate", ...PEERS];
/** What is left out unless it is asked for: it says little that its neighbour does not. */
const EXTRA = ["floor-rpc"];
/** What a floor is a floor for; elsewhere it is what its neighbour is. */
const ONLY = { "floor-sql": ["plain"], "floor-rpc": ["plain"], "floor-pump": ["long", "stream", "burst"] };
const MODES = ["long", "start", "plain", "stream", "burst"];

const FULL = { rounds: 5, streamRounds: 3, seconds: 1.2, levels: [1, 16, 64], burstLevels: [1, 16], longLevels: [250, 1000], starts: 3, isolates: 20 };
const QUICK = { rounds: 1, streamRounds: 1, seconds: 0.7, levels: [1, 16], burstLevels: [16], longLevels: [100, 400], starts: 1, isolates: 5 };

const BEHAVIOURS = {
  plain: null,
  stream: { do: "pace", chunks: 20, interval_ms: 10, first_ms: 10 },
  burst: { do: "pace", chunks: 200 },
  long: { do: "pace", chunks: 20, interval_ms: 400, first_ms: 400 },
};
/** Connections of the round that is not counted. */
const WARM_AT = 16;
/** What is not whole after five times the eight seconds that such a stream takes has failed. */
const LONG_TIMEOUT_S = 40;

function options() {
  const text = { type: "string" };
  const flag = { type: "boolean", default: false };
  const { values } = parseArgs({
    options: {
      write: flag,
      quick: flag,
      rounds: text,
      seconds: text,
      connections: text,
      modes: { ...text, default: MODES.join(",") },
      targets: { ...text, default: TARGETS.filter((name) => !EXTRA.includes(name)).join(",") },
      out: { ...text, default: join(ROOT, "bench", "RESULTS.md") },
      "gateway-url": text,
      "gateway-key": text,
      "gateway-admin-key": text,
      "gateway-pid": text,
      "upstream-url": text,
    },
  });
  const list = (value) => value.split(",").map((part) => part.trim()).filter(Boolean);
  const settings = { ...(values.quick ? QUICK : FULL), quick: values.quick, ...BEHAVIOURS };
  if (values.rounds) settings.rounds = settings.streamRounds = Number(values.rounds);
  if (values.seconds) settings.seconds = Number(values.seconds);
  if (values.connections) settings.levels = settings.burstLevels = list(values.connections).map(Number);
  const chosen = { ...values, settings, modes: list(values.modes), targets: list(values.targets) };
  const unknown = [...chosen.targets.filter((t) => !TARGETS.includes(t)), ...chosen.modes.filter((m) => !MODES.includes(m))];
  if (unknown.length) throw new Trouble(`unknown target or mode: ${unknown.join(", ")}`);
  if (!(settings.rounds >= 1) || !(settings.seconds > 0) || settings.levels.some((level) => !(level >= 1))) {
    throw new Trouble("--rounds, --seconds and --connections take numbers above zero");
  }
  return chosen;
}

async function starter(name, chosen) {
  if (FLOORS.includes(name)) return (upstream) => startFloor(name, upstream);
  if (PEERS.includes(name)) return (await import("./peers.mjs")).PEER_TARGETS[name];
  const { "gateway-url": url, "gateway-key": key, "gateway-admin-key": adminKey, "gateway-pid": pid } = chosen;
  return url ? (upstream) => useGateway({ url, key, adminKey, pid, upstream }) : startGateway;
}

/** Starts all of them. One that does not run is said to be missing; the others are measured. */
async function startTargets(chosen, missing) {
  const url = chosen["upstream-url"];
  const upstream = url ? { name: "direct", url } : await startUpstream();
  const targets = [];
  for (const name of chosen.targets) {
    say(`starting ${name}`);
    try {
      const target = name === "direct" ? upstream : await (await starter(name, chosen))(upstream);
      await untilServing(target);
      targets.push(target);
    } catch (error) {
      lost(missing, name, error);
    }
  }
  return { upstream, targets };
}

function lost(missing, name, error) {
  const why = error.message.split("\n")[0];
  say(`${name} is missing from here on: ${why}`);
  missing.push({ name, why });
}

/** Measures every target at every level. In turn, so that a slow spell of the machine touches all; from
 * another start each round, so that none always runs in the wake of the same one. */
async function rounds(mode, { upstream, targets, settings, samples, missing }) {
  await order(upstream, BEHAVIOURS[mode]);
  const span = { seconds: settings.seconds };
  const kind = mode === "plain" ? "plain" : "stream";
  const here = () => targets.filter(({ name }) => !missing.some((one) => one.name === name) && (ONLY[name]?.includes(mode) ?? true));
  // Not counted: V8 compiles what is hot, the Wasm above all, while the first thousand requests come.
  for (const target of here()) await sample(mode, target, { mode: kind, connections: WARM_AT, span }, { samples: [], missing }, "warm-up");
  const count = mode === "plain" ? settings.rounds : settings.streamRounds;
  for (const connections of mode === "burst" ? settings.burstLevels : settings.levels) {
    for (let round = 0; round < count; round += 1) {
      for (let turn = 0; turn < targets.length; turn += 1) {
        const target = targets[(round + turn) % targets.length];
        if (!here().includes(target)) continue;
        await sample(mode, target, { mode: kind, connections, span }, { samples, missing }, `round ${round + 1}`);
      }
    }
  }
}

/** Opens so many streams at once, on processes that have done next to nothing before. */
async function open({ upstream, targets, settings, samples, missing }) {
  for (const connections of settings.longLevels) {
    for (const target of targets) {
      if (ONLY[target.name] && !ONLY[target.name].includes("long")) continue;
      if (missing.some(({ name }) => name === target.name)) continue;
      await order(upstream, null);
      await measure(binary("tidegate-load"), target, { mode: "stream", connections: 4, span: { requests: 40 }, warmup: 0 });
      await order(upstream, BEHAVIOURS.long);
      const span = { requests: connections };
      await sample("long", target, { mode: "stream", connections, span, warmup: 0, timeoutSeconds: LONG_TIMEOUT_S }, { samples, missing }, "open");
    }
  }
}

async function sample(mode, target, load, { samples, missing }, what) {
  const idle = residentMiB(target.pid);
  try {
    const figures = { ...(await measure(binary("tidegate-load"), target, load)), idle_mib: idle };
    samples.push({ mode, target: target.name, report: figures });
    const failures = Object.entries(figures.errors).map(([kind, count]) => `, ${kind} × ${count}`).join("");
    say(`${mode} ${load.connections} ${what} ${target.name}: ${figures.requests_per_second.toFixed(0)}/s, CPU ${figures.cpu_us?.toFixed(0) ?? "–"} µs each${failures}`);
    if (target.entry?.ended) throw new Trouble(`${target.name} ended in the middle (${await target.entry.exit})`);
  } catch (error) {
    lost(missing, target.name, error);
  }
}

async function restarts({ targets, settings, missing }) {
  const all = [];
  for (const target of targets) {
    if (!target.again || ONLY[target.name] || missing.some(({ name }) => name === target.name)) continue;
    say(`starting ${target.name} ${settings.starts} times`);
    try {
      all.push({ target: target.name, times: await coldStarts(target, settings.starts) });
    } catch (error) {
      lost(missing, target.name, error);
    }
  }
  return all;
}

async function versions() {
  const workerd = (ask(workerdProgram(), ["--version"]) ?? "unknown").replace("workerd ", "");
  return { workerd, ...(await import("./peers.mjs")).peerVersions() };
}

function write({ out, toReadme }, result) {
  const notes = existsSync(out) ? readFileSync(out, "utf8").split(NOTES)[1] : undefined;
  writeFileSync(out, `${report(result)}${NOTES}${notes ?? "\nNone yet.\n"}`);
  say(`written: ${out}`);
  if (!toReadme) return;
  const parts = readFileSync(README, "utf8").split(MARK);
  if (parts.length !== 3) throw new Trouble(`README.md must hold ${MARK} twice, with the table between`);
  writeFileSync(README, [parts[0], `\n${summary(result)}\n`, parts[2]].join(MARK));
  say(`written: ${README}`);
}

await program(async () => {
  const chosen = options();
  const began = Date.now();
  const { settings } = chosen;
  const sizes = { ...(await build()), budget: BUDGET_BYTES };
  await run("cargo build", "cargo", ["build", "--quiet", "--release", "-p", "tidegate-load", "-p", "tidegate-upstream"]);
  rmSync(SCRATCH, { recursive: true, force: true }); // What an interrupted run left.
  mkdirSync(SCRATCH, { recursive: true });
  const missing = [];
  const samples = [];
  const { upstream, targets } = await startTargets(chosen, missing);
  const stage = { upstream, targets, settings, samples, missing };
  const wanted = (mode) => chosen.modes.includes(mode);
  // First, while the processes are fresh: what they keep of busy times would hide what a stream takes.
  if (wanted("long")) await open(stage);
  await order(upstream, null);
  // Then anew: one that had more streams than it can bear still works on what nobody waits for.
  const starts = wanted("start") ? await restarts(stage) : [];
  for (const mode of ["plain", "stream", "burst"]) if (wanted(mode)) await rounds(mode, stage);
  const result = {
    samples, missing, settings, sizes, versions: await versions(),
    targets: targets.map((target) => target.name),
    starts,
    isolates: wanted("start") ? await isolates(settings.isolates) : undefined,
    date: new Date().toISOString().slice(0, 10),
  };
  const { workerd } = result.versions;
  result.machine = `${cpus().length} × ${cpus()[0]?.model ?? "unknown CPU"}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, ${type()} ${release()}; workerd ${workerd}, Node ${process.version}.`;
  await endAll();
  write({ out: resolve(chosen.out), toReadme: chosen.write }, result);
  rmSync(SCRATCH, { recursive: true, force: true });
  for (const { wanted: what, is, met } of verdicts(result)) console.log(`${met ? "met   " : "MISSED"} ${what}: ${is}`);
  for (const { name, why } of missing) console.log(`MISSING ${name}: ${why}`);
  console.log(`took ${((Date.now() - began) / 60_000).toFixed(1)} min`);
  if (missing.length > 0) process.exitCode = 1;
});
