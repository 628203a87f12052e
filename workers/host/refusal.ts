// Answers that the host gives by itself, because the gateway could not. OpenAI's envelope, like all others.
import type { HeaderLines } from "./effects";
import { unflatten } from "./headers";

const REQUEST_ID = "x-request-id";

/** The id of a request that the gateway has given none. */
export function ownName(): HeaderLines {
  return [[REQUEST_ID, `req_${crypto.randomUUID().replaceAll("-", "")}`]];
}

/** The id that is among what any answer carries. */
export function nameIn(always: HeaderLines): string | undefined {
  return always.find(([name]) => name === REQUEST_ID)?.[1];
}

function envelope(message: string): string {
  return JSON.stringify({ error: { message, type: "server_error", param: null, code: "internal_error" } });
}

const OWN_FAULT = "The gateway failed on its own account while it handled this request. Trying again may help; the log tells more.";

export function ownFault(always: HeaderLines): Response {
  return refusal(500, OWN_FAULT, always);
}

/** `always` is what any answer to the request carries, as far as the gateway was asked. */
export function refusal(status: number, message: string, always: HeaderLines = []): Response {
  return new Response(envelope(message), { status, headers: unflatten([["content-type", "application/json"], ...always]) });
}

/** Ends a stream that has begun: clients of OpenAI's take an `error` for what it is, and no `[DONE]`
 * follows that could make the answer look whole. */
export function ownFaultEvent(): Uint8Array {
  return new TextEncoder().encode(`data: ${envelope(OWN_FAULT)}\n\n`);
}
