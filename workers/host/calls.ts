// Calls that end: to an object, or a GET to a server.
import type { Env } from "./env";
import { readHead } from "./bodies";
import { describe } from "./engine";

/** Rejects after `ms`. The loser of the race stays observed, so that its late failure is nobody's. */
export function within<T>(ms: number, work: PromiseLike<T>, late: string): Promise<T> {
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
  return within(timeoutMs, stub(env, to).call(message), "no answer");
}

/** The same, for whoever wants to know either way. Never rejects. */
export async function askOrWhy(env: Env, to: string, message: string, timeoutMs: number): Promise<[ok: boolean, said: string]> {
  try {
    return [true, await ask(env, to, message, timeoutMs)];
  } catch (error) {
    return [false, describe(error)];
  }
}

export function stub(env: Env, name: string) {
  return namespace(env, name.split("/", 1)[0] ?? "").getByName(name);
}

function namespace(env: Env, kind: string): Env["DIRECTORY"] {
  switch (kind) {
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
  timeout_ms: number;
}

export interface Probed {
  status: number;
  body: string;
  latency_ms: number;
}

/** As much of a health check's answer as anybody looks at. */
const PROBE_HEAD_BYTES = 64 * 1024;

/** A GET that follows no redirect: where one leads was not checked. */
export async function probe({ url, bearer, timeout_ms }: Probe): Promise<Probed> {
  const began = Date.now();
  const headers: Record<string, string> = bearer !== undefined ? { authorization: `Bearer ${bearer}` } : {};
  try {
    const response = await fetch(url, { headers, redirect: "manual", signal: AbortSignal.timeout(timeout_ms) });
    const body = await readHead(response.body, PROBE_HEAD_BYTES);
    return { status: response.status, body: new TextDecoder().decode(body), latency_ms: Date.now() - began };
  } catch (error) {
    const timedOut = error instanceof Error && error.name === "TimeoutError";
    throw timedOut ? new Error(`no answer within ${timeout_ms} ms`) : error;
  }
}
