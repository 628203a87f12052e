// Calls that end: to an object, or a small one to a server.
//
// Invariant: there is no way to an object but the functions here, and each of them takes a deadline.
import { readHead } from "./bodies";
import type { Deadlines } from "./deadlines";
import { describe } from "./engine";
import type { Env } from "./env";

/** Rejects after `ms`. The loser of the race stays observed, so that its late failure is nobody's. */
function within<T>(ms: number, work: PromiseLike<T>, late: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${late} within ${ms} ms`)), ms);
    work.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error instanceof Error ? error : new Error(String(error)));
      },
    );
  });
}

/** Asks the object with this name, such as `instance/{org}/{id}`. */
export async function ask(env: Env, to: string, message: string, timeoutMs: number): Promise<string> {
  return within(timeoutMs, call(env, to, message), "no answer");
}

/** The same, for whoever wants to know either way. Never rejects. */
export async function askOrWhy(env: Env, to: string, message: string, timeoutMs: number): Promise<[ok: boolean, said: string]> {
  try {
    return [true, await ask(env, to, message, timeoutMs)];
  } catch (error) {
    return [false, describe(error)];
  }
}

/** The same on an exchange's timer, under this name. `said` is called once: an object that answers too late
 * is not heard, for it may be anywhere by then. */
export function askOn(deadlines: Deadlines, name: number, env: Env, to: string, message: string, timeoutMs: number, said: (ok: boolean, text: string) => void): void {
  let open = true;
  const once = (ok: boolean, text: string) => {
    if (!open) return;
    open = false;
    deadlines.clear(name);
    said(ok, text);
  };
  deadlines.set(name, Date.now() + timeoutMs, () => once(false, `no answer within ${timeoutMs} ms`));
  call(env, to, message).then(
    (answer) => once(true, answer),
    (error: unknown) => once(false, describe(error)),
  );
}

/** For tests: has an object fail in the middle of a turn, or lose its alarm. */
export function faultIn(env: Env, to: string, how: string, timeoutMs: number): Promise<void> {
  return within(timeoutMs, stub(env, to).fault(how), "no answer");
}

/** Objects that a test has put out of reach: their calls fail, or are never answered. */
export type Reach = "fails" | "hangs";
const outOfReach = new Map<string, Reach>();

/** For tests: puts an object out of reach of this isolate, or back. */
export function setReach(to: string, how: Reach | undefined): void {
  if (how === undefined) outOfReach.delete(to);
  else outOfReach.set(to, how);
}

function call(env: Env, to: string, message: string): Promise<string> {
  switch (outOfReach.get(to)) {
    case "fails":
      return Promise.reject(new Error("out of reach"));
    case "hangs":
      return new Promise(() => undefined);
    case undefined:
      return stub(env, to).call(message);
  }
}

function stub(env: Env, name: string) {
  return namespace(env, name.split("/", 1)[0] ?? "").getByName(name);
}

function namespace(env: Env, kind: string): Env["DIRECTORY"] {
  switch (kind) {
    case "account":
      return env.ACCOUNT;
    case "directory":
      return env.DIRECTORY;
    case "fleet":
      return env.FLEET;
    case "instance":
      return env.INSTANCE;
    case "journal":
      return env.JOURNAL;
    case "key":
      return env.KEY;
    case "ledger":
      return env.LEDGER;
    case "model":
      return env.MODEL;
    default:
      throw new Error(`there are no objects of the kind "${kind}"`);
  }
}

export interface Probe {
  url: string;
  /** Not for logs. */
  bearer?: string | undefined;
  /** JSON to post; a GET without. */
  body?: string | undefined;
  timeout_ms: number;
}

export interface Probed {
  status: number;
  body: string;
  latency_ms: number;
}

/** As much of a health check's answer as anybody looks at. */
const PROBE_HEAD_BYTES = 64 * 1024;

/** Follows no redirect: where one leads was not checked. */
export async function probe({ url, bearer, body: posted, timeout_ms }: Probe): Promise<Probed> {
  const began = Date.now();
  const headers: Record<string, string> = bearer !== undefined ? { authorization: `Bearer ${bearer}` } : {};
  if (posted !== undefined) headers["content-type"] = "application/json";
  const sent = posted === undefined ? { headers } : { method: "POST", headers, body: posted };
  try {
    const response = await fetch(url, { ...sent, redirect: "manual", signal: AbortSignal.timeout(timeout_ms) });
    const body = await readHead(response.body, PROBE_HEAD_BYTES);
    return { status: response.status, body: new TextDecoder().decode(body), latency_ms: Date.now() - began };
  } catch (error) {
    const timedOut = error instanceof Error && error.name === "TimeoutError";
    throw timedOut ? new Error(`no answer within ${timeout_ms} ms`) : error;
  }
}
