// One request, from its arrival until its answer is out and everything behind it is told.
//
// The gateway decides; this runs its effects and reports what came of them. Two promises are kept here:
// an exchange that fails, whatever fails, is answered at once and hurts no other; and one that waits for
// nothing any more is failed rather than left hanging.
import { type EdgeHandle, type End, UploadEnd } from "tidegate-wasm";
import { Answer } from "./answer";
import { asset } from "./assets";
import { Attempt, type Listener, type Outgo } from "./attempt";
import { Background } from "./background";
import { discard, readWhole, skipAll } from "./bodies";
import { askOn } from "./calls";
import { Deadlines } from "./deadlines";
import { type AskEffect, type EdgeEffect, type FetchEffect, type HeaderLines, unknown } from "./effects";
import { enter, logError } from "./engine";
import type { Env } from "./env";
import { flatten } from "./headers";
import { nameIn, ownFault, ownName, refusal } from "./refusal";
import { type Report, probed } from "./reports";
import { type Read, Upload } from "./upload";

/** Deadlines that are not a call's; calls are numbered from one. */
const WAKE = 0;
const UPLOAD = -1;

const UPLOAD_ENDS = { whole: UploadEnd.Whole, broken: UploadEnd.Broken, stalled: UploadEnd.Stalled };

export class Exchange implements Listener {
  readonly #edge: EdgeHandle;
  readonly #env: Env;
  readonly #request: Request;
  readonly #background: Background;
  readonly #answer = new Answer();
  #id = 0;
  /** What any answer carries, also one that is given here. */
  #always: HeaderLines = [];
  /** Calls, probes and body reads that are out. */
  #awaited = 0;
  readonly #deadlines = new Deadlines();
  readonly #attempts = new Map<number, Attempt>();
  #body: Uint8Array = new Uint8Array();
  /** The request's body, to its end. */
  #isRead = false;
  #upload: Upload | undefined;
  #whole: Uint8Array = new Uint8Array();
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
  async run(): Promise<Response> {
    const { method, url, headers } = this.#request;
    const { pathname, search } = new URL(url);
    try {
      const edge = this.#edge;
      const begun = enter(() => edge.begin(Date.now(), method, pathname, search.slice(1), flatten(headers)));
      const { id, headers: always, effects } = JSON.parse(begun) as { id: number; headers: HeaderLines; effects: EdgeEffect[] };
      this.#id = id;
      this.#always = always;
      this.#perform(effects);
    } catch (error) {
      this.#fail(error);
    }
    this.#mustGoOn();
    const response = await this.#answer.response;
    const upload = this.#upload;
    if (upload !== undefined) await skipAll(() => upload.skip(), () => upload.cancel());
    else if (!this.#isRead) await discard(this.#request.body);
    return response;
  }

  // What came of it.

  headers(attempt: number, status: number, headers: string): void {
    this.#hear((edge, id, now) => edge.headers(id, now, attempt, status, headers));
  }

  chunk(attempt: number, chunk: Uint8Array): void {
    if (this.#over) return;
    try {
      const effects = enter(() => this.#edge.chunk(this.#id, Date.now(), attempt, chunk));
      if (effects === true) this.#answer.write(chunk);
      else if (effects !== undefined) this.#perform(JSON.parse(effects) as EdgeEffect[], chunk);
    } catch (error) {
      this.#fail(error);
    }
  }

  whole(attempt: number, body: Uint8Array): void {
    this.#attempts.delete(attempt);
    this.#whole = body;
    this.#hear((edge, id, now) => edge.whole(id, now, attempt, body));
  }

  ended(attempt: number, end: End): void {
    this.#attempts.delete(attempt);
    this.#hear((edge, id, now) => edge.bodyEnded(id, now, attempt, end));
  }

  room(): Promise<void> | undefined {
    return this.#answer.room();
  }

  #wake(): void {
    // Before the answer has begun nobody but servers can be waited for.
    const kept = [...this.#attempts.values()].filter((attempt) => attempt.hasKeptReading());
    const reading = !this.#upload?.isWaiting && (!this.#answer.streams || kept.length > 0);
    this.#hear((edge, id, now) => edge.wake(id, now, reading));
  }

  #left(): void {
    if (this.#gone || this.#over) return;
    this.#gone = true;
    this.#hear((edge, id, now) => edge.gone(id, now));
  }

  #hear(event: Report): void {
    if (this.#over) return;
    try {
      const effects = enter(() => event(this.#edge, this.#id, Date.now()));
      if (effects !== "") this.#perform(JSON.parse(effects) as EdgeEffect[]);
    } catch (error) {
      this.#fail(error);
    }
    this.#mustGoOn();
  }

  /** `report` must not reject. */
  #await(report: Promise<Report>): void {
    this.#awaited += 1;
    void report.then((event) => {
      this.#awaited -= 1;
      this.#hear(event);
    });
  }

  // What to do.

  #perform(effects: EdgeEffect[], chunk?: Uint8Array): void {
    for (const effect of effects) this.#performOne(effect, chunk);
  }

  #performOne(effect: EdgeEffect, chunk?: Uint8Array): void {
    const edge = this.#edge;
    switch (effect.effect) {
      case "read_body":
        return this.#await(this.#readBody(effect.limit));
      case "read_upload":
        return this.#await(this.#readUpload(effect.idle_ms));
      case "hold_upload":
        if (this.#upload !== undefined) this.#upload.isHeld = true;
        return;
      case "forget_upload":
        return this.#upload?.forget();
      case "ask":
        return this.#ask(effect);
      case "probe":
        return this.#await(probed(effect));
      case "fetch":
        return this.#fetch(effect);
      case "collect":
        return this.#attempts.get(effect.attempt)?.collect();
      case "abort":
        this.#attempts.get(effect.attempt)?.stop();
        this.#attempts.delete(effect.attempt);
        return;
      case "respond":
        return this.#answer.respond(effect.status, effect.headers, effect.body ?? this.#output());
      case "respond_asset":
        return this.#answer.settle(asset(this.#env, effect.file, effect.headers));
      case "open":
        return this.#answer.open(effect.headers, () => this.#left());
      case "write":
        return this.#answer.write(enter(() => edge.output(this.#id)));
      case "write_chunk":
        return this.#answer.write(chunk ?? new Uint8Array());
      case "close":
        return this.#answer.close();
      case "break":
        return this.#answer.break();
      case "wake_at":
        return this.#deadlines.set(WAKE, effect.at_ms, () => this.#wake());
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

  #ask({ call, to, message, timeout_ms }: AskEffect): void {
    this.#awaited += 1;
    askOn(this.#deadlines, call, this.#env, to, message, timeout_ms, (ok, text) => {
      this.#awaited -= 1;
      this.#hear((edge, id, now) => edge.answered(id, now, call, ok, text));
    });
  }

  async #readBody(limit: number): Promise<Report> {
    try {
      const body = await readWhole(this.#request, limit);
      this.#body = body ?? this.#body;
      this.#isRead = body !== undefined;
      return (edge, id, now) => edge.body(id, now, body);
    } catch (error) {
      this.#fail(error, refusal(400, "The request's body broke off before its end.", this.#always));
      return () => "";
    }
  }

  /** Reads until the gateway holds it. Never rejects. */
  async #readUpload(idleMs: number): Promise<Report> {
    this.#upload ??= new Upload(this.#request.body, {
      set: (ms, ring) => this.#deadlines.set(UPLOAD, Date.now() + ms, ring),
      clear: () => this.#deadlines.clear(UPLOAD),
    });
    const upload = this.#upload;
    upload.isHeld = false;
    while (!upload.isHeld && !this.#over) {
      const read = await upload.gather(idleMs);
      if (typeof read === "string") return this.#uploaded(read);
      this.#hear(this.#uploaded(read));
    }
    return () => "";
  }

  #uploaded(read: Read): Report {
    if (typeof read === "string") return (edge, id, now) => edge.uploadEnded(id, now, UPLOAD_ENDS[read]);
    return (edge, id, now) => edge.upload(id, now, read.piece);
  }

  #outgo(effect: FetchEffect): Outgo {
    const upload = this.#upload;
    if (effect.upload !== undefined && upload !== undefined) {
      const how = effect.upload;
      const pass = (read: Read) => this.#hear(this.#uploaded(read));
      return { length: how.length, send: (to, signal) => upload.send(to, how, signal, pass) };
    }
    return effect.own_body ? enter(() => this.#edge.attemptBody(this.#id, effect.attempt)) : this.#body;
  }

  #fetch(effect: FetchEffect): void {
    const body = this.#outgo(effect);
    const attempt = new Attempt(effect, this);
    this.#attempts.set(effect.attempt, attempt);
    this.#background.keep(attempt.run(body));
  }

  /** The gateway's own bytes, else those of the server as they came. */
  #output(): Uint8Array {
    const own = enter(() => this.#edge.output(this.#id));
    return own.length > 0 ? own : this.#whole;
  }

  #done(): void {
    // 499 is what proxies log for a client that left; nobody reads it.
    if (!this.#answer.begun) this.#answer.settle(this.#gone ? refusal(499, "The client left.") : ownFault(this.#always));
    this.#close();
    for (const attempt of this.#attempts.values()) attempt.windDown();
    enter(() => this.#edge.forget(this.#id));
  }

  /** Nothing is out that could move this exchange on: a mistake, and its client must not pay with time. */
  #mustGoOn(): void {
    if (this.#over || this.#awaited > 0 || this.#attempts.size > 0 || this.#deadlines.any) return;
    this.#fail(new Error("the exchange waits for nothing"));
  }

  #fail(error: unknown, answer?: Response): void {
    if (this.#over) return;
    // The gateway failed before it had named the request.
    if (this.#always.length === 0) this.#always = ownName();
    // That a client leaves in the middle of its own body is its business.
    if (!this.#gone) logError("exchange_failed", error, { "request.id": nameIn(this.#always) });
    for (const attempt of this.#attempts.values()) attempt.stop();
    this.#close(() => this.#background.abandon(this.#id));
    this.#answer.fail(answer ?? ownFault(this.#always));
  }

  #close(last?: () => void): void {
    this.#over = true;
    this.#deadlines.end();
    last?.();
    this.#background.closed();
  }
}
