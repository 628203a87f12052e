// One request to a server: its headers, then its body chunk by chunk or whole.
import { End } from "tidegate-wasm";
import { readWhole } from "./bodies";
import type { FetchEffect } from "./effects";
import { flatten } from "./headers";

/** Who is told. None of these throws. */
export interface Listener {
  headers(attempt: number, status: number, headers: string): void;
  chunk(attempt: number, chunk: Uint8Array): void;
  whole(attempt: number, body: Uint8Array): void;
  ended(attempt: number, end: End): void;
  /** Nothing when the client can take more now, else a promise of it. */
  room(): Promise<void> | undefined;
}

/** What goes to the server: bytes, or an upload by what sends it. */
export type Outgo = Uint8Array | { length: number | undefined; send: (to: WritableStream<Uint8Array>, signal: AbortSignal) => Promise<void> };

/** After its last event a server has nothing to say but that the body ends here. */
const WIND_DOWN_MS = 1000;

export class Attempt {
  /** The client is waited for, rather than the server. */
  #isPaused = false;
  /** The same, now or at any time since somebody asked. */
  #wasPaused = false;
  readonly #abort = new AbortController();
  #isCollected: boolean;
  #windingDown: ReturnType<typeof setTimeout> | null = null;
  readonly #effect: FetchEffect;
  readonly #listener: Listener;

  constructor(effect: FetchEffect, listener: Listener) {
    this.#effect = effect;
    this.#isCollected = !effect.stream;
    this.#listener = listener;
  }

  /** Whether the server was waited for ever since this was last asked. One that was not read from for a
   * while needs a moment before it speaks again, and is not to be called silent for that. */
  hasKeptReading(): boolean {
    const kept = !this.#wasPaused;
    this.#wasPaused = this.#isPaused;
    return kept;
  }

  /** The answer is wanted whole after all; counts until its headers have been told. */
  collect(): void {
    this.#isCollected = true;
  }

  /** Breaks the connection off. The listener hears nothing more. */
  stop(): void {
    this.#abort.abort();
  }

  /** The answer is whole, its body perhaps not yet at its end: a connection that is read to its end is
   * used again, one that is broken off costs the next request a handshake. */
  windDown(): void {
    this.#windingDown = setTimeout(() => this.stop(), WIND_DOWN_MS);
  }

  /** Never rejects. */
  async run(outgo: Outgo): Promise<void> {
    const { attempt, method, url, headers } = this.#effect;
    const { signal } = this.#abort;
    try {
      const body = outgo instanceof Uint8Array ? outgo : outgoing(outgo, signal);
      const sent = method === "POST" ? { method, headers, body } : { method, headers };
      const response = await fetch(url, { ...sent, redirect: "manual", signal });
      if (signal.aborted) return;
      this.#listener.headers(attempt, response.status, flatten(response.headers));
      if (signal.aborted) return;
      await (this.#isCollected ? this.#collect(response) : this.#passOn(response));
    } catch {
      // What broke is told by its effect: nothing more comes.
      if (!signal.aborted) this.#listener.ended(attempt, End.Broken);
    } finally {
      clearTimeout(this.#windingDown);
      this.#windingDown = null;
    }
  }

  async #passOn(response: Response): Promise<void> {
    const { attempt } = this.#effect;
    const { signal } = this.#abort;
    const reader = response.body?.getReader();
    while (reader !== undefined) {
      const { done, value } = await reader.read();
      if (signal.aborted) return;
      if (done) break;
      this.#listener.chunk(attempt, value);
      const room = this.#listener.room();
      if (room !== undefined) {
        this.#isPaused = this.#wasPaused = true;
        await room;
        this.#isPaused = false;
      }
      if (signal.aborted) return;
    }
    this.#listener.ended(attempt, End.Eof);
  }

  async #collect(response: Response): Promise<void> {
    const { attempt, max_body } = this.#effect;
    const body = await readWhole(response, max_body);
    if (this.#abort.signal.aborted) return;
    if (body !== undefined) return this.#listener.whole(attempt, body);
    this.#listener.ended(attempt, End.TooLarge);
    this.#abort.abort();
  }
}

/** The readable end of an upload that is being sent. That it cannot be sent shows in the answer. */
function outgoing({ length, send }: Exclude<Outgo, Uint8Array>, signal: AbortSignal): ReadableStream<Uint8Array> {
  const { readable, writable } = length === undefined ? new IdentityTransformStream() : new FixedLengthStream(length);
  void send(writable, signal).catch(() => undefined);
  return readable;
}
