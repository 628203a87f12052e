// What must not be found in what a run leaves behind, and what was heard outside the gateway.
//
// Whatever makes a secret notes it here: minting and registering do so by themselves (`http.mjs`). At the end
// of the run `scan.mjs` looks for all of it in the run's folder. Suites are processes of their own, so both
// are files in that folder; without one (a script of its own) nothing is kept.
import { appendFileSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";

export const SECRETS = "secrets.jsonl";
export const HEARD = "heard.jsonl";

/** What was asked and answered in most tests: in no log and no table. */
export const PROMPT = "Say hello.";
export const ANSWER = "Hello! How can I help you today?";

/** The head of an answer that is looked at: errors are shorter, and streams repeat themselves. */
export const HEAD_BYTES = 4096;

const kept = () => process.env.TIDEGATE_E2E_KEPT;
const noted = new Set();

/** A folder for a gateway's objects and log, kept until the run is over. */
export function folder(kind) {
  return mkdtempSync(join(kept() ?? tmpdir(), `${kind}-${basename(process.argv[1] ?? "").replace(/\..*$/, "")}-`));
}

/** Notes a secret. `kind`: `admin key`, `installation secret`, `api key`, `server key` (with the `origin` it is
 * for), `prompt`, `answer`; or `landmark`, which is none: it must be found among the objects. */
export function secret(kind, text, origin) {
  const line = `${JSON.stringify({ kind, text, origin })}\n`;
  if (kept() === undefined || noted.has(line)) return;
  noted.add(line);
  appendFileSync(join(kept(), SECRETS), line);
}

/** Written in pieces of so many entries: a write each would be felt by tests that measure time. */
const AT_ONCE = 1000;
let heard = [];

function write() {
  if (heard.length > 0) appendFileSync(join(kept(), HEARD), heard.join(""));
  heard = [];
}
process.on("exit", write);

function hear(entry) {
  if (kept() === undefined) return;
  heard.push(`${JSON.stringify(entry)}\n`);
  if (heard.length >= AT_ONCE) write();
}

/** What a client got for which request; `head` is the beginning of the body. */
export function answer(method, path, status, headers, head) {
  const minting = method === "POST" && /^\/admin\/(keys\b|instances\/[^/]+\/ssh-key$)/.test(path);
  hear({ by: "client", what: `${method} ${path} → ${status}`, minting, text: `${JSON.stringify(headers)}\n${head.toString("latin1")}` });
}

/** What a server that listens on `origin` got. */
export function request(origin, { method, path, headers, body }) {
  hear({ by: "server", what: `${method} ${path}`, origin, text: `${JSON.stringify(headers)}\n${(body ?? "").slice(0, HEAD_BYTES)}` });
}

/** The secrets in an exchange with an admin route. */
export function noteAdmin(method, path, sent, status, received) {
  if (method === "GET" || status < 200 || status > 299) return;
  const { api_key: serverKey, endpoint_url: url } = members(sent);
  if (typeof serverKey === "string") secret("server key", serverKey, URL.canParse(url) ? new URL(url).origin : undefined);
  const { key } = members(received);
  if (typeof key === "string" && key.startsWith("tg_")) secret("api key", key);
}

function members(json) {
  try {
    return JSON.parse(String(json)) ?? {};
  } catch {
    return {};
  }
}
