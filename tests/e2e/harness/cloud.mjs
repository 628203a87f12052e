// A pretend cloud for one suite (tests/simcloud): two vendors over real HTTP, real processes as their machines,
// a meter that is nobody's but its own, and an API to make it misbehave.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../../scripts/paths.mjs";
import { exchange } from "./http.mjs";
import { Running } from "./process.mjs";
import { folder, secret } from "./secrets.mjs";

const BINARY = join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "debug", "tidegate-simcloud");
const MODEL_SERVER = join(ROOT, "tests", "model-server", "serve.py");

/** Delays of a vendor in a hurry, and a budget of calls that tests do not use up. */
const QUICK = ["delays.provisioning_ms=100", "delays.starting_ms=100", "runpod_calls.minute=100000", "runpod_calls.hour=1000000", "runpod_calls.day=1000000"];

export class Cloud {
  #process;

  constructor(running, info) {
    this.#process = running;
    this.info = info;
  }

  static async start(t, { set = [] } = {}) {
    const log = join(folder("simcloud"), "simcloud.log");
    const python = process.env.TIDEGATE_PYTHON ?? "python3";
    const command = [python, MODEL_SERVER, "--host", "{host}", "--port", "{port}"];
    const args = [...command.flatMap((word) => ["--box-command", word]), ...[...QUICK, ...set].flatMap((setting) => ["--set", setting])];
    const running = new Running("simcloud", BINARY, args, { log, speaks: true });
    t?.after(() => running.end());
    const info = JSON.parse(await running.line((line) => line.startsWith("{")));
    const cloud = new Cloud(running, info);
    for (const key of info.keys) secret("vendor key", key.secret ?? key.id);
    return cloud;
  }

  /** What the gateway is told of it. */
  get origins() {
    return `runpod=${this.info.runpod},runpod.endpoint=${this.info.endpoint},aws=${this.info.aws}`;
  }

  key(vendor) {
    return this.info.keys.find((key) => key.vendor === vendor);
  }

  async #exchange(method, path, body) {
    const reply = await exchange(this.info.control, {
      method,
      path: `/control/${path}`,
      headers: { "content-type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
      hangsAfterMs: 120_000,
    });
    if (reply.status >= 300) throw new Error(`simcloud: ${method} ${path}: ${reply.status} ${reply.text}`);
    return reply;
  }

  /** An order to the cloud itself, or a look at it. */
  async order(method, path, body) {
    const reply = await this.#exchange(method, path, body);
    return reply.text === "" ? undefined : reply.json;
  }

  /** What a machine has printed. */
  async printed(machine) {
    return (await this.#exchange("GET", `machines/${machine}/log`)).text;
  }

  /** Waits until so many machines are in a state. */
  machines(query, { count = 1, waitMs = 30_000 } = {}) {
    return this.order("GET", `machines?${query}&count=${count}&wait_ms=${waitMs}`);
  }

  meter() {
    return this.order("GET", "meter");
  }

  fault(rule) {
    return this.order("POST", "faults", rule);
  }

  calm() {
    return this.order("DELETE", "faults");
  }

  /** Lets the vendors' time pass at once. */
  advance(ms) {
    return this.order("POST", "clock", { advance_ms: ms });
  }

  /** Notes what only the gateway and a machine may know: of a pod the environment of its process has it. */
  noteSecrets(instance) {
    const [variables] = processes(({ TIDEGATE_BOOT_URL: url }) => url?.endsWith(`~${instance}`));
    if (variables === undefined) throw new Error(`no process runs for ${instance}`);
    secret("server key", variables.LLAMA_API_KEY);
    secret("boot token", variables.TIDEGATE_BOOT_TOKEN);
  }

  /** The same of a machine at AWS, whose script has it on its disk. */
  noteSecretsOnDisk(machine) {
    const [variables] = processes(({ SIMCLOUD_MACHINE: id }) => id === machine);
    if (variables === undefined) throw new Error(`no script runs for ${machine}`);
    const read = (name) => readFileSync(join(variables.TIDEGATE_ROOT, "var", "lib", "tidegate", name), "utf8");
    secret("server key", read("env").match(/^LLAMA_API_KEY=(.+)$/m)[1]);
    secret("boot token", read("caller").match(/Bearer ([^"]+)"/)[1]);
  }

  end() {
    return this.#process.end();
  }
}

/** The environments of the processes here that are wanted. */
function processes(isWanted) {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.map(environment).filter(isWanted);
}

function environment(pid) {
  try {
    const pairs = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").filter((pair) => pair.includes("="));
    return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]));
  } catch {
    // Ended meanwhile, or somebody else's.
    return {};
  }
}
