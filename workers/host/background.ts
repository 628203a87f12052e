// What an exchange does behind its answer: tells, refreshes, the last flush. The platform keeps the
// exchange's context alive for up to 30 s until `finished`.
import type { EdgeHandle } from "tidegate-wasm";
import { ask, askOrWhy } from "./calls";
import type { EdgeEffect, RefreshEffect, TellEffect } from "./effects";
import { enter, logError } from "./engine";
import type { Env } from "./env";

type Behind = Extract<EdgeEffect, { effect: "tell" | "refresh" | "flush_after" | "log" }>;

/** Objects answer in milliseconds; one that is being moved takes a few seconds. */
const TELL_TIMEOUT_MS = 10_000;
/** A timer that is this late is not coming. */
const FLUSH_GRACE_MS = 50;

/** One flush empties the whole isolate's outbox, so one timer is enough for all exchanges. Should the
 * exchange that waits for it be cut off, the next one after its time takes over. */
let flushAt = 0;

export class Background {
  /** The exchange is closed and nothing of it is out. Never rejects. */
  readonly finished: Promise<void>;
  readonly #finish: () => void;
  readonly #edge: EdgeHandle;
  readonly #env: Env;
  /** The exchange itself, and each piece of work. */
  #open = 1;

  constructor(edge: EdgeHandle, env: Env) {
    this.#edge = edge;
    this.#env = env;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.finished = promise;
    this.#finish = resolve;
  }

  perform(effect: Behind): void {
    switch (effect.effect) {
      case "tell":
        return this.keep(this.#tell(effect));
      case "refresh":
        return this.keep(this.#refresh(effect));
      case "flush_after":
        return this.#flushWithin(effect.ms);
      case "log":
        return console.log(effect.line);
    }
  }

  /** Takes a piece of work, which must not reject, into account. */
  keep(work: Promise<void>): void {
    this.#open += 1;
    void work.finally(() => this.closed());
  }

  /** The exchange, or a piece of work, is over. */
  closed(): void {
    this.#open -= 1;
    if (this.#open === 0) this.#finish();
  }

  /** Gives an exchange up: what it still has to tell is told. */
  abandon(id: number): void {
    // After a trap, or a panic in the very giving up, leases end by themselves.
    this.#guarded("abandon_failed", () => enter(() => this.#edge.abandon(id, Date.now())));
  }

  /** Runs what belongs behind an answer; an exchange that is over has no use for the rest. */
  #guarded(event: string, effects: () => string, fields: Record<string, unknown> = {}): void {
    try {
      const text = effects();
      if (text === "") return;
      for (const effect of JSON.parse(text) as EdgeEffect[]) {
        if (isBehind(effect)) this.perform(effect);
      }
    } catch (error) {
      logError(event, error, fields);
    }
  }

  async #tell({ to, message }: TellEffect): Promise<void> {
    try {
      await ask(this.#env, to, message, TELL_TIMEOUT_MS).catch(() => ask(this.#env, to, message, TELL_TIMEOUT_MS));
    } catch (error) {
      logError("tell_failed", error, { to });
    }
  }

  async #refresh({ to, message, timeout_ms, token }: RefreshEffect): Promise<void> {
    const [ok, said] = await askOrWhy(this.#env, to, message, timeout_ms);
    this.#guarded("refresh_failed", () => enter(() => this.#edge.refreshed(Date.now(), token, ok, said)), { to });
  }

  #flushWithin(ms: number): void {
    const now = Date.now();
    const soonEnough = now <= flushAt + FLUSH_GRACE_MS && flushAt <= now + ms;
    if (soonEnough) return;
    flushAt = now + ms;
    this.keep(this.#flush(ms));
  }

  async #flush(ms: number): Promise<void> {
    if (ms > 0) await new Promise<void>((resolve) => setTimeout(resolve, ms));
    flushAt = 0;
    this.#guarded("flush_failed", () => enter(() => this.#edge.flush(Date.now())));
  }
}

function isBehind(effect: EdgeEffect): effect is Behind {
  return ["tell", "refresh", "flush_after", "log"].includes(effect.effect);
}
