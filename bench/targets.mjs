// What is measured, started on loopback: the scripted upstream, the floors, and Tidegate.
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:net";
import { createRequire } from "node:module";
import { join } from "node:path";
import { ROOT, STATE } from "../scripts/paths.mjs";
import { Trouble, start, untilAnswering } from "../scripts/processes.mjs";

export const MODEL = "tiny";
export const FLOORS = ["floor", "floor-rpc", "floor-sql"];

/** A release binary of this workspace; a debug build would be what is measured. */
export function binary(name, given) {
  const path = given ?? join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "release", name);
  if (!existsSync(path)) {
    throw new Trouble(`${path} is missing. Build it: cargo build --release -p tidegate-load -p tidegate-upstream`);
  }
  return path;
}

export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Folders for objects lie on the same disk for all: a durable hop costs what that disk's sync costs. */
function stateFolder(name) {
  const parent = join(STATE, "bench");
  mkdirSync(parent, { recursive: true });
  return mkdtempSync(join(parent, `${name}-`));
}

export async function startUpstream(path) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  // No journal: keeping every body would be measured too.
  const entry = start("the upstream", path, ["--port", String(port), "--model", MODEL, "--journal", "0"], {
    log: join(STATE, "bench", "upstream.log"),
  });
  await untilAnswering(`${url}/v1/models`, entry, { seconds: 10 });
  return { name: "direct", url, pid: () => undefined };
}

export async function order(upstream, behaviour) {
  const rules = behaviour ? [{ path: "/v1/chat/completions", behaviour }] : [];
  const reply = await fetch(`${upstream.url}/_control/script`, { method: "PUT", body: JSON.stringify({ rules }) });
  if (!reply.ok) throw new Trouble(`the upstream refused its script: ${await reply.text()}`);
}

/** The project's own workerd. */
export function workerdProgram() {
  const { default: program } = createRequire(import.meta.url)("workerd");
  return program;
}

export async function startFloor(name, upstream, program) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const args = ["serve", join(ROOT, "bench", "floor", `${name}.capnp`), "--socket-addr", `http=127.0.0.1:${port}`];
  args.push("--directory-path", `objects=${stateFolder(name)}`);
  const entry = start(name, program ?? workerdProgram(), args, {
    env: { UPSTREAM: upstream.url },
    log: join(STATE, "bench", `${name}.log`),
  });
  await untilAnswering(url, entry, { seconds: 15, accept: () => true });
  return { name, url, pid: finder(`http=127.0.0.1:${port}`) };
}

/** Starts the built gateway as its own script does, and registers the upstream in it. */
export async function startGateway(upstream) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const adminKey = randomBytes(24).toString("base64url");
  const stateDir = stateFolder("tidegate");
  const entry = start("tidegate", "npm", ["run", "--silent", "serve"], {
    env: { PORT: String(port), ADMIN_KEY: adminKey, ALLOW_LOOPBACK: "1", STATE_DIR: stateDir },
    log: join(STATE, "bench", "tidegate.log"),
  });
  // It builds first when something has changed.
  await untilAnswering(`${url}/v1/models`, entry, { seconds: 1200 });
  const key = await register({ url, adminKey, upstream });
  return { name: "tidegate", url, key, pid: finder(stateDir) };
}

/** A gateway that runs already. */
export async function useGateway({ url, key, adminKey, pid, upstream }) {
  const inferenceKey = adminKey ? await register({ url, adminKey, upstream }) : key;
  if (!inferenceKey) throw new Trouble("--gateway-url needs --gateway-admin-key, or --gateway-key and --upstream-url");
  return { name: "tidegate", url, key: inferenceKey, pid: () => pid };
}

async function register({ url, adminKey, upstream }) {
  const post = async (path, body) => {
    const reply = await fetch(url + path, {
      method: "POST",
      headers: { "content-type": "application/json", "x-api-key": adminKey },
      body: JSON.stringify(body),
    });
    const text = await reply.text();
    if (reply.status !== 201) throw new Trouble(`POST ${path} answered ${reply.status}: ${text}`);
    return JSON.parse(text);
  };
  // Above the highest level measured, so that the queue is never what is measured.
  await post("/admin/register", { model_name: MODEL, endpoint_url: upstream.url, max_concurrency: 256 });
  const { key } = await post("/admin/keys", { name: "bench", scopes: ["inference"] });
  await untilServing(url, key);
  return key;
}

/** Isolates may use what they know for some seconds: a new server or key is not refused for longer. */
async function untilServing(url, key) {
  const deadline = Date.now() + 15_000;
  let last = "";
  while (Date.now() < deadline) {
    const reply = await fetch(`${url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${key}` },
      body: JSON.stringify({ model: MODEL, messages: [{ role: "user", content: "Say hello." }] }),
    });
    last = `${reply.status}: ${await reply.text()}`;
    if (reply.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Trouble(`the gateway did not serve the model within 15 s of its registration; it answered ${last}`);
}

function field(pid, name) {
  try {
    return readFileSync(`/proc/${pid}/status`, "utf8").match(new RegExp(`^${name}:\\s+(.+)$`, "m"))?.[1];
  } catch {
    return undefined; // No /proc here, or the process has ended.
  }
}

/** Resident memory in MiB, or undefined where it cannot be read. */
export function residentMiB(pid) {
  const kib = parseInt(field(pid, "VmRSS") ?? "", 10);
  return Number.isNaN(kib) ? undefined : kib / 1024;
}

/** A program's process id, by what stands in its command line alone; found once, then kept. */
function finder(marker) {
  let found;
  return () => (found ??= processWith(marker));
}

function processWith(marker) {
  let pids;
  try {
    pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  } catch {
    return undefined; // No /proc here: memory is left out of the tables.
  }
  return pids.find((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").some((part) => part.includes(marker));
    } catch {
      return false; // Ended in between.
    }
  });
}
