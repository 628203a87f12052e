// What is measured, started on loopback: the scripted upstream, the platform's floors, and Tidegate.
// A target is `{ name, url, key?, headers?, pid, again? }`; `again` is the command it was started with.
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { join } from "node:path";
import { ROOT, STATE } from "../scripts/paths.mjs";
import { Trouble, start, untilAnswering } from "../scripts/processes.mjs";
import { settings, workerd } from "../scripts/workerd.mjs";

export const MODEL = "tiny";
export const FLOORS = ["floor", "floor-rpc", "floor-sql", "floor-pump"];
export const SCRATCH = join(STATE, "bench");
export const CHAT = "/v1/chat/completions";

/** Above the highest level measured, so that the queue is never what is measured. */
const CONCURRENCY = 4096;

/** A release binary of this workspace; a debug build would be what is measured. */
export function binary(name) {
  return join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "release", name);
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
  mkdirSync(SCRATCH, { recursive: true });
  return mkdtempSync(join(SCRATCH, `${name}-`));
}

/** Starts a program and waits for its first answer, whatever it is. */
export async function launch(name, port, command, { seconds = 15, accept = () => true, path = "/" } = {}) {
  const url = `http://127.0.0.1:${port}`;
  const { program, args, env, cwd } = command;
  const entry = start(name, program, args, { env, cwd, log: join(SCRATCH, `${name}.log`) });
  await untilAnswering(url + path, entry, { seconds, accept });
  return { name, url, pid: entry.pid, entry, again: command };
}

export async function startUpstream() {
  const port = await freePort();
  // No journal: keeping every body would be measured too.
  const args = ["--port", String(port), "--model", MODEL, "--journal", "0"];
  const { url } = await launch("upstream", port, { program: binary("tidegate-upstream"), args });
  // As a target it has no process of its own: what it uses is no gateway's.
  return { name: "direct", url };
}

export async function order(upstream, behaviour) {
  const rules = behaviour ? [{ path: CHAT, behaviour }] : [];
  const reply = await fetch(`${upstream.url}/_control/script`, { method: "PUT", body: JSON.stringify({ rules }) });
  if (!reply.ok) throw new Trouble(`the upstream refused its script: ${await reply.text()}`);
}

/** The project's own workerd. */
export function workerdProgram() {
  const { default: program } = createRequire(import.meta.url)("workerd");
  return program;
}

export async function startFloor(name, upstream) {
  const port = await freePort();
  const args = ["serve", join(ROOT, "bench", "floor", `${name}.capnp`), "--socket-addr", `http=127.0.0.1:${port}`];
  args.push("--directory-path", `objects=${stateFolder(name)}`);
  return launch(name, port, { program: workerdProgram(), args, env: { UPSTREAM: upstream.url } });
}

/** Starts the built gateway as `npm run serve` does, and registers the upstream in it. */
export async function startGateway(upstream) {
  const port = await freePort();
  const adminKey = randomBytes(24).toString("base64url");
  const chosen = settings({ PORT: String(port), ADMIN_KEY: adminKey, ALLOW_LOOPBACK: "1", STATE_DIR: stateFolder("tidegate") });
  const { command: program, args, env } = workerd(chosen);
  const target = await launch("tidegate", port, { program, args, env });
  return { ...target, key: await register({ url: target.url, adminKey, upstream }) };
}

/** A gateway that runs already. */
export async function useGateway({ url, key, adminKey, pid, upstream }) {
  const inferenceKey = adminKey ? await register({ url, adminKey, upstream }) : key;
  if (!inferenceKey) throw new Trouble("--gateway-url needs --gateway-admin-key, or --gateway-key and --upstream-url");
  return { name: "tidegate", url, key: inferenceKey, pid };
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
  await post("/admin/register", { model_name: MODEL, endpoint_url: upstream.url, max_concurrency: CONCURRENCY });
  const { key } = await post("/admin/keys", { name: "bench", scopes: ["inference"] });
  return key;
}

/** One chat completion, as the generator asks for them. */
export async function ask({ url, key, headers = [] }, { stream = false, signal } = {}) {
  const fields = headers.map((line) => line.split(/:\s*/, 1).concat(line.replace(/^[^:]*:\s*/, "")));
  const reply = await fetch(url + CHAT, {
    method: "POST",
    headers: { "content-type": "application/json", ...(key ? { authorization: `Bearer ${key}` } : {}), ...Object.fromEntries(fields) },
    body: JSON.stringify({ model: MODEL, messages: [{ role: "user", content: "Say hello." }], stream }),
    signal,
  });
  return { status: reply.status, text: await reply.text() };
}

/** Waits for a whole plain answer and a whole stream: a new server or key is not known everywhere for some
 * seconds, and a gateway that cannot stream is not to be found out by its figures. */
export async function untilServing(target) {
  const deadline = Date.now() + 15_000;
  let last;
  while (Date.now() < deadline) {
    last = await ask(target, { signal: AbortSignal.timeout(10_000) }).catch((error) => ({ status: 0, text: String(error) }));
    if (last.status === 200) break;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  if (last?.status !== 200) throw new Trouble(`${target.name} did not serve the model within 15 s; it answered ${last?.status}: ${last?.text}`);
  const streamed = await ask(target, { stream: true, signal: AbortSignal.timeout(10_000) });
  if (streamed.status !== 200 || !streamed.text.includes("data: [DONE]")) {
    throw new Trouble(`${target.name} does not stream; it answered ${streamed.status}: ${streamed.text.slice(0, 300)}`);
  }
}

/** What is not there is said before anything is started. */
export function missingBinaries() {
  return ["tidegate-load", "tidegate-upstream"].map(binary).filter((path) => !existsSync(path));
}
