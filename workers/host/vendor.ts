// Calls to vendors of GPUs. The Wasm side opens the credential, builds the call and reads the answer; this
// sends it.
//
// Invariant: nothing of what is sent or comes back gets into a log line or an error's text: both hold
// secrets. Once a call has left, it ends in an outcome that says so: nobody may take it for one that was
// never sent.
import { readWhole } from "./bodies";
import type { HeaderLines, Outcome, VendorEffect } from "./effects";
import { enter, logError } from "./engine";
import type { Env } from "./env";
import { vendorsOf } from "./gateway";
import { flatten } from "./headers";

/** A page of a thousand machines, or of a catalogue, is a tenth of this. */
const LONGEST_BYTES = 4 * 1024 * 1024;

/** Not for logs. */
interface HttpCall {
  method: string;
  url: string;
  headers: HeaderLines;
  body: string | null;
}

type Prepared = { send: HttpCall } | { ended: Outcome };

/** Not for logs. */
interface HttpReply {
  status: number;
  headers: string;
  body: string;
}

/** Rejects only when nothing was sent. */
export async function callVendor(env: Env, effect: VendorEffect): Promise<Outcome> {
  const call = JSON.stringify(effect);
  const prepared = JSON.parse(enter(() => vendorsOf(env).prepare(Date.now(), call))) as Prepared;
  if ("ended" in prepared) return prepared.ended;
  const began = Date.now();
  const reply = await send(prepared.send, effect.timeout_ms);
  const now = Date.now();
  const unanswered = (words: string) => enter(() => vendorsOf(env).unanswered(now - began, call, words));
  if (typeof reply === "string") return JSON.parse(unanswered(reply)) as Outcome;
  try {
    const { status, headers, body } = reply;
    return JSON.parse(enter(() => vendorsOf(env).read(now, now - began, call, status, headers, body))) as Outcome;
  } catch (error) {
    logError("vendor_reply_failed", error, { vendor: effect.vendor });
    return JSON.parse(unanswered("the gateway failed on its own account while it read the answer")) as Outcome;
  }
}

/** The answer, or in words why there is none: not the platform's, which might quote what was sent. Never
 * rejects. */
async function send({ method, url, headers, body }: HttpCall, timeoutMs: number): Promise<HttpReply | string> {
  try {
    const response = await fetch(url, { method, headers, body, redirect: "manual", signal: AbortSignal.timeout(timeoutMs) });
    const whole = await readWhole(response, LONGEST_BYTES);
    if (whole === undefined) {
      void response.body?.cancel().catch(() => undefined);
      return `the answer is longer than ${LONGEST_BYTES} bytes`;
    }
    return { status: response.status, headers: flatten(response.headers), body: new TextDecoder().decode(whole) };
  } catch (error) {
    const isLate = error instanceof Error && error.name === "TimeoutError";
    return isLate ? `no answer within ${timeoutMs} ms` : "the connection could not be made, or broke off";
  }
}
