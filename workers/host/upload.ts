// A request's body on its way through: pieces as the client sends them, kept until they are not needed any
// more. What is read, kept and sent is the gateway's business; this does it.
import type { Outgoing, Splice } from "./effects";

/** Read at a time. The platform's own readers take 4 KiB, and each piece costs a call into Wasm. */
const PIECE_BYTES = 64 * 1024;

/** A piece, or how the body ended. */
export type Read = { piece: Uint8Array } | "whole" | "broken" | "stalled";

/** Rings after so long unless it is cleared. */
export interface Timer {
  set(ms: number, ring: () => void): void;
  clear(): void;
}

export class Upload {
  /** Set when the gateway wants no more for now. */
  isHeld = false;
  /** The client is waited for, rather than the server. */
  isWaiting = false;
  readonly #reader: ReadableStreamBYOBReader;
  readonly #timer: Timer;
  #kept: Uint8Array[] = [];
  /** What was asked for and nobody has taken: an attempt that is broken off leaves it to the next one. */
  #asked: Promise<ReadableStreamReadResult<Uint8Array>> | undefined;
  /** Read into anew, once its bytes have been sent. */
  #spare: Uint8Array<ArrayBuffer> | undefined;
  #isAtEnd = false;

  constructor(body: ReadableStream<Uint8Array> | null, timer: Timer) {
    this.#reader = (body ?? new Blob([]).stream()).getReader({ mode: "byob" });
    this.#timer = timer;
  }

  get isAtEnd(): boolean {
    return this.#isAtEnd;
  }

  /** Reads a piece and keeps it. Never rejects. */
  async gather(idleMs: number): Promise<Read> {
    const read = await this.#read(idleMs);
    if (typeof read === "string") return read;
    // A short piece would keep all of its buffer alive.
    const { piece } = read;
    this.#kept.push(piece.length === PIECE_BYTES ? piece : piece.slice());
    return read;
  }

  forget(): void {
    this.#kept = [];
  }

  /** What was kept, then each further piece after `pass` has looked at it. Rejects when the server does
   * not take it; stops when `signal` is aborted. */
  async send(
    to: WritableStream<Uint8Array>,
    { splice, idle_ms }: Outgoing,
    signal: AbortSignal,
    pass: (read: Read) => void,
  ): Promise<void> {
    const writer = to.getWriter();
    const stop = () => void writer.abort(signal.reason).catch(() => undefined);
    signal.addEventListener("abort", stop, { once: true });
    for (const piece of spliced(this.#kept, splice)) await writer.write(piece);
    while (!this.#isAtEnd && !signal.aborted) {
      const read = await this.#read(idle_ms, signal);
      if (signal.aborted) return;
      pass(read);
      if (typeof read === "string" || signal.aborted) break;
      await writer.write(read.piece);
      this.#spare = new Uint8Array(read.piece.buffer as ArrayBuffer);
    }
    if (!signal.aborted) await writer.close();
  }

  /** The next piece for nothing; `undefined` at the end. */
  async skip(): Promise<number | undefined> {
    if (this.#isAtEnd) return undefined;
    const { done, value } = await this.#ask();
    this.#asked = undefined;
    // At its end such a reader gives an empty piece.
    this.#isAtEnd = done;
    return done ? undefined : value.length;
  }

  cancel(): void {
    void this.#reader.cancel().catch(() => undefined);
  }

  #ask(): Promise<ReadableStreamReadResult<Uint8Array>> {
    const into = this.#spare ?? new Uint8Array(PIECE_BYTES);
    this.#spare = undefined;
    this.#asked ??= this.#reader.read(into);
    return this.#asked;
  }

  async #read(idleMs: number, signal?: AbortSignal): Promise<Read> {
    const stalled = Promise.withResolvers<"stalled">();
    this.#timer.set(idleMs, () => stalled.resolve("stalled"));
    this.isWaiting = true;
    try {
      const read = await Promise.race([this.#ask(), stalled.promise]);
      if (signal?.aborted) return "stalled";
      if (read === "stalled") {
        // It is not waited for any further, not even to skip the rest.
        this.#isAtEnd = true;
        return read;
      }
      this.#asked = undefined;
      if (!read.done) return { piece: read.value };
      this.#isAtEnd = true;
      return "whole";
    } catch {
      this.#isAtEnd = true;
      return "broken";
    } finally {
      this.isWaiting = false;
      this.#timer.clear();
    }
  }
}

/** The pieces with a text in the place of some of their bytes. */
function* spliced(pieces: Uint8Array[], splice: Splice | undefined): Generator<Uint8Array> {
  let at = 0;
  for (const piece of pieces) {
    const end = at + piece.length;
    if (splice === undefined || splice.end <= at || splice.start >= end) {
      yield piece;
    } else {
      if (splice.start > at) yield piece.subarray(0, splice.start - at);
      if (splice.start >= at) yield new TextEncoder().encode(splice.text);
      if (splice.end < end) yield piece.subarray(splice.end - at);
    }
    at = end;
  }
}
