// One request, from its arrival until its answer is out and everything behind it is told.
//
// The gateway decides; this runs its effects and reports what came of them. Two promises are kept here:
// an exchange that fails, whatever fails, is answered at once and hurts no other; and one that waits for
// nothing any more is failed rather than left hanging.
import type { EdgeHandle, End } from "tidegate-wasm";
import { Attempt, type Listener } from "./attempt";
import { Background } from "./background";
import { readRequest } from "./bodies";
import { ask, probe } from "./calls";
import { ClientStream } from "./client_stream";
import { type EdgeEffect, type FetchEffect, type HeaderLines, unknown } from "./effects";
import { describe, enter, logError } from "./engine";
import type { Env } from "./env";
import { flatten } from "./headers";
import { ownFault, ownFaultEvent, refusal } from "./refusal";

type Respond = Extract<EdgeEffect, { effect: "respond" }>;

/** Statuses whose responses have no body, not even an empty one. */
const BODILESS = [204, 205, 304];

export class Exchange implements Listener {
  readonly #edge: EdgeHandle;
  readonly #env: Env;
  readonly #request: Request;
  readonly #background: Background;
  readonly #answer = Promise.withResolvers<Response>();
  #id = 0;
  /** Calls, probes and body reads that are out. */
  #awaited = 0;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #attempts = new Map<number, Attempt>();
  #body: Uint8Array = new Uint8Array();
  #whole: Uint8Array = new Uint8Array();
  #stream: ClientStream | undefined;
  #answered = false;
  #gone = false;
  #over = false;

  constructor(edge: EdgeHandle, request: Request, env: Env, ctx: ExecutionContext) {
    this.#edge = edge;
    this.#env = env;
    this.#request = request;
    this.#background = new Background(edge, env);
    ctx.waitUntil(this.#background.finished);
    request.signal.addEventListener("abort", () => this.#left());
  }

  /** Never rejects. */
  run(): Promise<Response> {
    const { method, url, headers } = this.#request;
    const { pathname, search } = new URL(url);
    try {
      const edge = this.#edge;
      const begun = enter(() => edge.begin(Date.now(), method, pathname, search.slice(1), flatten(headers)));
      const { id, effects } = JSON.parse(begun) as { id: number; effects: EdgeEffect[] };
      this.#id = id;
      this.#perform(effects);
    } catch (error) {
      this.#fail(error);
    }
    this.#mustGoOn();
    return this.#answer.promise;
  }

  // What came of it.

  headers(attempt: number, status: number, headers: string): void {
    this.#hear((id, now) => this.#edge.headers(id, now, attempt, status, headers));
  }

  chunk(attempt: number, chunk: Uint8Array): void {
    if (this.#over) return;
    try {
      const effects = enter(() => this.#edge.chunk(this.#id, Date.now(), attempt, chunk));
      if (effects === true) this.#stream?.write(chunk);
      else if (effects !== undefined) this.#perform(JSON.parse(effects) as EdgeEffect[], chunk);
    } catch (error) {
      this.#fail(error);
    }
  }

  whole(attempt: number, body: Uint8Array): void {
    this.#attempts.delete(attempt);
    this.#whole = body;
    this.#hear((id, now) => this.#edge.whole(id, now, attempt, body));
  }

  ended(attempt: number, end: End): void {
    this.#attempts.delete(attempt);
    this.#hear((id, now) => this.#edge.bodyEnded(id, now, attempt, end));
  }

  room(): Promise<void> | undefined {
    return this.#stream?.room();
  }

  #wake(): void {
    this.#timer = null;
    // Before the answer has begun nobody but servers can be waited for.
    const reading = this.#stream === undefined || [...this.#attempts.values()].some((attempt) => attempt.reading);
    this.#hear((id, now) => this.#edge.wake(id, now, reading));
  }

  #left(): void {
    if (this.#gone || this.#over) return;
    this.#gone = true;
    this.#hear((id, now) => this.#edge.gone(id, now));
  }

  #hear(event: (id: number, now: number) => string): void {
    if (this.#over) return;
    try {
      const effects = enter(() => event(this.#id, Date.now()));
      if (effects !== "") this.#perform(JSON.parse(effects) as EdgeEffect[]);
    } catch (error) {
      this.#fail(error);
    }
    this.#mustGoOn();
  }

  #await<T>(work: Promise<T>, good: (id: number, now: number, value: T) => string, bad: (error: unknown) => void): void {
    this.#awaited += 1;
    work.then(
      (value) => {
        this.#awaited -= 1;
        this.#hear((id, now) => good(id, now, value));
      },
      (error: unknown) => {
        this.#awaited -= 1;
        bad(error);
      },
    );
  }

  // What to do.

  #perform(effects: EdgeEffect[], chunk?: Uint8Array): void {
    for (const effect of effects) this.#performOne(effect, chunk);
  }

  #performOne(effect: EdgeEffect, chunk?: Uint8Array): void {
    const edge = this.#edge;
    switch (effect.effect) {
      case "read_body":
        return this.#readBody(effect.limit);
      case "ask": {
        const { call, to, message, timeout_ms } = effect;
        const said = (ok: boolean) => (id: number, now: number, text: string) => edge.answered(id, now, call, ok, text);
        return this.#await(ask(this.#env, to, message, timeout_ms), said(true), (error) =>
          this.#hear((id, now) => said(false)(id, now, describe(error))),
        );
      }
      case "probe": {
        const { call } = effect;
        return this.#await(
          probe(effect),
          (id, now, { status, body, latency_ms }) => edge.probed(id, now, call, status, body, latency_ms),
          (error) => this.#hear((id, now) => edge.probed(id, now, call, undefined, describe(error), 0)),
        );
      }
      case "fetch":
        return this.#fetch(effect);
      case "abort":
        this.#attempts.get(effect.attempt)?.stop();
        this.#attempts.delete(effect.attempt);
        return;
      case "respond":
        return this.#respond(effect);
      case "open":
        this.#stream = new ClientStream(() => this.#left());
        return this.#settle(new Response(this.#stream.readable, { headers: lines(effect.headers) }));
      case "write":
        this.#stream?.write(enter(() => edge.output(this.#id)));
        return;
      case "write_chunk":
        if (chunk !== undefined) this.#stream?.write(chunk);
        return;
      case "close":
        this.#stream?.close();
        return;
      case "wake_at":
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => this.#wake(), Math.max(0, effect.at_ms - Date.now()));
        return;
      case "tell":
      case "refresh":
      case "flush_after":
      case "log":
        return this.#background.perform(effect);
      case "done":
        return this.#done();
      default:
        return unknown(effect);
    }
  }

  #readBody(limit: number): void {
    const take = (id: number, now: number, body: Uint8Array | undefined) => {
      this.#body = body ?? this.#body;
      return this.#edge.body(id, now, body);
    };
    this.#await(readRequest(this.#request, limit), take, (error) => {
      this.#fail(error, refusal(400, "The request's body broke off before its end."));
    });
  }

  #fetch(effect: FetchEffect): void {
    const edge = this.#edge;
    const body = effect.own_body ? enter(() => edge.attemptBody(this.#id, effect.attempt)) : this.#body;
    const attempt = new Attempt(effect, this);
    this.#attempts.set(effect.attempt, attempt);
    this.#background.keep(attempt.run(body));
  }

  #respond({ status, headers, body }: Respond): void {
    const bytes = body ?? this.#output();
    this.#settle(new Response(BODILESS.includes(status) ? null : bytes, { status, headers: lines(headers) }));
  }

  /** The gateway's own bytes, else those of the server as they came. */
  #output(): Uint8Array {
    const own = enter(() => this.#edge.output(this.#id));
    return own.length > 0 ? own : this.#whole;
  }

  #settle(response: Response): void {
    this.#answered = true;
    this.#answer.resolve(response);
  }

  #done(): void {
    // 499 is what proxies log for a client that left; nobody reads it.
    if (!this.#answered) this.#settle(this.#gone ? refusal(499, "The client left.") : ownFault());
    this.#close();
    for (const attempt of this.#attempts.values()) attempt.windDown();
    enter(() => this.#edge.forget(this.#id));
  }

  /** Nothing is out that could move this exchange on: a mistake, and its client must not pay with time. */
  #mustGoOn(): void {
    if (this.#over || this.#awaited > 0 || this.#attempts.size > 0 || this.#timer !== null) return;
    this.#fail(new Error("the exchange waits for nothing"));
  }

  #fail(error: unknown, answer: Response = ownFault()): void {
    if (this.#over) return;
    logError("exchange_failed", error);
    for (const attempt of this.#attempts.values()) attempt.stop();
    this.#close(() => this.#background.abandon(this.#id));
    if (this.#answered) this.#stream?.write(ownFaultEvent());
    this.#stream?.close();
    this.#settle(answer);
  }

  #close(last?: () => void): void {
    this.#over = true;
    clearTimeout(this.#timer);
    this.#timer = null;
    last?.();
    this.#background.closed();
  }
}

function lines(headerLines: HeaderLines): Headers {
  const headers = new Headers();
  for (const [name, value] of headerLines) headers.append(name, value);
  return headers;
}
