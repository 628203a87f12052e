// Runs the load generator against one target, and reads what the target's process used meanwhile.
import { spawn } from "node:child_process";
import { Trouble } from "../scripts/processes.mjs";
import { cpuMicros, watchMemory } from "./proc.mjs";
import { MODEL } from "./targets.mjs";

/** Every connection is opened before anything is counted, and V8 has compiled what is hot. A stream does
 * much of the same work for each token. */
const WARM_UP = { plain: (connections) => 20 + 2 * connections, stream: (connections) => connections };

/**
 * One level of one target. Adds to the generator's own figures: `cpu_us`, of the target's processor time
 * for each answer, and `resident_mib`, the highest. `span` is `{ seconds }` or `{ requests }`.
 */
export async function measure(program, target, { mode, connections, span, warmup = WARM_UP[mode](connections), timeoutSeconds = 30 }) {
  const args = ["--url", target.url, "--connections", String(connections), "--warmup", String(warmup), "--json"];
  args.push(...(span.seconds ? ["--seconds", String(span.seconds)] : ["--requests", String(span.requests)]));
  args.push("--mode", mode, "--model", MODEL, "--timeout-seconds", String(timeoutSeconds));
  if (target.key) args.push("--key", target.key);
  for (const header of target.headers ?? []) args.push("--header", header);
  const before = cpuMicros(target.pid);
  const memory = watchMemory(target.pid);
  let output;
  try {
    output = await outputOf(program, args);
  } finally {
    memory.highest = memory.stop();
  }
  const used = cpuMicros(target.pid) - before;
  if (!output) throw new Trouble(`the load generator reported nothing about ${target.name}`);
  const [report] = JSON.parse(output);
  const failed = Object.values(report.errors).reduce((a, b) => a + b, 0);
  const answers = report.requests + warmup;
  // What a failed request costs is unknown, and not to be shared out among the good ones.
  return { ...report, failed, cpu_us: failed > 0 || Number.isNaN(used) ? undefined : used / answers, resident_mib: memory.highest };
}

function outputOf(program, args) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (bytes) => (text += bytes));
    child.on("error", reject);
    child.on("close", () => resolve(text));
  });
}
