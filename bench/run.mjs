// Measures the upstream alone, the platform's floor and Tidegate, side by side in one run, and writes
// bench/RESULTS.md. Needs `cargo build --release -p tidegate-load -p tidegate-upstream` beforehand.
//
//   node bench/run.mjs [--rounds 5] [--seconds 3] [--connections 1,16,64] [--modes plain,stream,burst]
//                      [--targets direct,floor,floor-rpc,floor-sql,tidegate] [--out bench/RESULTS.md]
//                      [--gateway-url U (--gateway-admin-key K | --gateway-key K --upstream-url U)]
//                      [--gateway-pid P] [--load PATH] [--upstream PATH] [--workerd PATH]
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { ROOT, STATE } from "../scripts/paths.mjs";
import { Trouble, ask, endAll, program, say } from "../scripts/processes.mjs";
import { markdown } from "./report.mjs";
import { FLOORS, MODEL, binary, order, residentMiB, startFloor, startGateway, startUpstream, useGateway, workerdProgram } from "./targets.mjs";

const NOTES = "\n# Notes\n";
const STREAM = { do: "pace", chunks: 20, interval_ms: 5, first_ms: 5 };
const BURST = { do: "pace", chunks: 200 };
const BEHAVIOURS = { plain: null, stream: STREAM, burst: BURST };

function options() {
  const text = { type: "string" };
  const { values } = parseArgs({
    options: {
      rounds: { ...text, default: "5" },
      seconds: { ...text, default: "3" },
      connections: { ...text, default: "1,16,64" },
      modes: { ...text, default: "plain,stream,burst" },
      targets: { ...text, default: ["direct", ...FLOORS, "tidegate"].join(",") },
      out: { ...text, default: join(ROOT, "bench", "RESULTS.md") },
      "gateway-url": text,
      "gateway-key": text,
      "gateway-admin-key": text,
      "gateway-pid": text,
      "upstream-url": text,
      load: text,
      upstream: text,
      workerd: text,
    },
  });
  const list = (value) => value.split(",").map((part) => part.trim()).filter(Boolean);
  const chosen = { ...values, modes: list(values.modes), targets: list(values.targets), levels: list(values.connections).map(Number) };
  chosen.rounds = Number(values.rounds);
  chosen.seconds = Number(values.seconds);
  const known = ["direct", ...FLOORS, "tidegate"];
  const unknown = [...chosen.targets.filter((t) => !known.includes(t)), ...chosen.modes.filter((m) => !(m in BEHAVIOURS))];
  if (unknown.length) throw new Trouble(`unknown target or mode: ${unknown.join(", ")}`);
  if (!(chosen.rounds >= 1) || !(chosen.seconds > 0) || chosen.levels.some((level) => !(level >= 1))) {
    throw new Trouble("--rounds, --seconds and --connections take numbers above zero");
  }
  return chosen;
}

async function startTargets(chosen) {
  const upstream = chosen["upstream-url"]
    ? { name: "direct", url: chosen["upstream-url"], pid: () => undefined }
    : await startUpstream(binary("tidegate-upstream", chosen.upstream));
  const targets = [];
  for (const name of chosen.targets) {
    say(`starting ${name}`);
    if (name === "direct") targets.push(upstream);
    else if (FLOORS.includes(name)) targets.push(await startFloor(name, upstream, chosen.workerd));
    else if (chosen["gateway-url"]) {
      const gateway = { url: chosen["gateway-url"], key: chosen["gateway-key"], adminKey: chosen["gateway-admin-key"] };
      targets.push(await useGateway({ ...gateway, pid: chosen["gateway-pid"], upstream }));
    } else targets.push(await startGateway(upstream));
  }
  return { upstream, targets };
}

/** One level of one target: the generator's figures and the highest resident memory seen meanwhile. */
async function measure(load, target, { mode, connections, seconds }) {
  const args = ["--url", target.url, "--connections", String(connections), "--seconds", String(seconds)];
  args.push("--mode", mode === "plain" ? "plain" : "stream", "--model", MODEL, "--json");
  if (target.key) args.push("--key", target.key);
  const pid = target.pid();
  let highest;
  const look = () => {
    const now = residentMiB(pid);
    if (now !== undefined) highest = Math.max(highest ?? 0, now);
  };
  const sampling = setInterval(look, 200);
  try {
    const output = await new Promise((resolve, reject) => {
      const child = spawn(load, args, { stdio: ["ignore", "pipe", "inherit"] });
      let text = "";
      child.stdout.on("data", (bytes) => (text += bytes));
      child.on("error", reject);
      child.on("close", () => resolve(text));
    });
    look();
    if (!output) throw new Trouble(`the load generator reported nothing about ${target.name}`);
    return { ...JSON.parse(output)[0], resident_mib: highest };
  } finally {
    clearInterval(sampling);
  }
}

function write(path, text) {
  const notes = existsSync(path) ? readFileSync(path, "utf8").split(NOTES)[1] : undefined;
  writeFileSync(path, `${text}${NOTES}${notes ?? "\nNone yet.\n"}`);
}

await program(async () => {
  const chosen = options();
  const load = binary("tidegate-load", chosen.load);
  rmSync(join(STATE, "bench"), { recursive: true, force: true }); // What an interrupted run left.
  mkdirSync(join(STATE, "bench"), { recursive: true });
  const { upstream, targets } = await startTargets(chosen);
  const samples = [];
  for (const mode of chosen.modes) {
    await order(upstream, BEHAVIOURS[mode]);
    for (const connections of chosen.levels) {
      for (let round = 0; round < chosen.rounds; round += 1) {
        // In turn, so that a slow spell of the machine touches all; from another start each round,
        // so that none always runs in the wake of the same one.
        for (let turn = 0; turn < targets.length; turn += 1) {
          const target = targets[(round + turn) % targets.length];
          const report = await measure(load, target, { mode, connections, seconds: chosen.seconds });
          samples.push({ mode, target: target.name, report });
          const failed = Object.entries(report.errors).map(([kind, count]) => ` ${kind}×${count}`).join("");
          say(`${mode} ${connections} round ${round + 1} ${target.name}: ${report.requests_per_second.toFixed(0)} req/s, p50 ${report.latency_us.p50} µs${failed}`);
        }
      }
    }
  }
  const versions = { workerd: (ask(chosen.workerd ?? workerdProgram(), ["--version"]) ?? "unknown").replace("workerd ", "") };
  const settings = { rounds: chosen.rounds, seconds: chosen.seconds, modes: chosen.modes, stream: STREAM, burst: BURST };
  const text = markdown({ samples, levels: chosen.levels, targets: targets.map((target) => target.name), settings, versions });
  write(resolve(chosen.out), text);
  await endAll();
  rmSync(join(STATE, "bench"), { recursive: true, force: true });
  console.log(`written to ${resolve(chosen.out)}`);
});
