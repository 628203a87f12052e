// What the Wasm side asks for: the shapes of `edge/src/effect.rs` and `durable/src/turn.rs`, and nothing
// else. Every switch over them ends in `unknown()`, so that a new variant does not compile until it is
// handled.

export type HeaderLines = [name: string, value: string][];

/** Ask, Tell and Refresh share the receiver (`instance/{org}/{id}`) and the message (JSON). */
interface Addressed {
  to: string;
  message: string;
}

export interface AskEffect extends Addressed {
  effect: "ask";
  call: number;
  timeout_ms: number;
}

export interface ProbeEffect {
  effect: "probe";
  call: number;
  url: string;
  /** Not for logs. */
  bearer?: string;
  timeout_ms: number;
}

/** A token as objects hold it: sealed. */
export interface Bearer {
  org: string;
  record: string;
  sealed: string;
}

export interface GetEffect {
  effect: "get";
  id: number;
  url: string;
  bearer?: Bearer;
  timeout_ms: number;
}

export interface PostEffect extends Omit<GetEffect, "effect"> {
  effect: "post";
  /** JSON. */
  body: string;
}

/** A call to a vendor. What else is in it is for the Wasm side to read. */
export interface VendorEffect {
  effect: "vendor";
  id: number;
  vendor: string;
  timeout_ms: number;
}

/** A text in the place of some bytes. */
export interface Splice {
  start: number;
  end: number;
  text: string;
}

/** How an upload goes out: what was kept of it, then the rest as it comes. */
export interface Outgoing {
  splice?: Splice;
  /** Bytes in all, if that is known beforehand. */
  length?: number;
  idle_ms: number;
}

export interface FetchEffect {
  effect: "fetch";
  attempt: number;
  method: string;
  url: string;
  /** Not for logs. */
  headers: HeaderLines;
  own_body: boolean;
  upload?: Outgoing;
  stream: boolean;
  max_body: number;
}

export interface TellEffect extends Addressed {
  effect: "tell";
}

export interface RefreshEffect extends Addressed {
  effect: "refresh";
  token: number;
  timeout_ms: number;
}

export type EdgeEffect =
  | { effect: "read_body"; limit: number }
  | { effect: "read_upload"; idle_ms: number }
  | { effect: "hold_upload" }
  | { effect: "forget_upload" }
  | AskEffect
  | TellEffect
  | RefreshEffect
  | ProbeEffect
  | FetchEffect
  | { effect: "collect"; attempt: number }
  | { effect: "abort"; attempt: number }
  | { effect: "respond"; status: number; headers: HeaderLines; body: string | null }
  | { effect: "respond_asset"; file: string; headers: HeaderLines }
  | { effect: "open"; headers: HeaderLines }
  | { effect: "write" }
  | { effect: "write_chunk" }
  | { effect: "close" }
  | { effect: "break" }
  | { effect: "wake_at"; at_ms: number }
  | { effect: "flush_after"; ms: number }
  | { effect: "log"; line: string }
  | { effect: "done" };

export type ObjectEffect =
  | (Addressed & { effect: "send"; id: number })
  | GetEffect
  | PostEffect
  | VendorEffect
  | { effect: "resolve"; ticket: number; reply: string }
  | { effect: "soon"; after_ms: number };

export type Outcome =
  | { outcome: "delivered"; reply: string }
  | { outcome: "fetched"; status: number; body: string; latency_ms: number }
  | { outcome: "vendor"; latency_ms: number }
  | { outcome: "refused"; reason: string }
  | { outcome: "failed"; reason: string };

export interface Turn {
  reply?: { now: string } | { later: number };
  effects?: ObjectEffect[];
  alarm_at_ms?: number;
}

/** For the `default` of a switch over all variants. */
export function unknown(effect: never): never {
  throw new Error(`the host does not know the effect ${JSON.stringify((effect as { effect?: unknown }).effect)}`);
}
