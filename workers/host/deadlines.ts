// The deadlines of an exchange: its own next wake-up and those of the calls that are out.
//
// One timer serves them all. On workerd each `setTimeout` costs as much as a call into Wasm with all its
// work, and nearly every deadline is cleared long before it comes: so the timer is first set to ring soon
// and then only when something is left to wait for.

/** The first ring: most requests are over by then, and one that is not is cheap to look at once. */
const FIRST_MS = 1000;
/** `setTimeout` takes 31 bits and fires at once beyond them. */
const LONGEST_MS = 2 ** 31 - 1;

interface Deadline {
  at: number;
  ring: () => void;
}

export class Deadlines {
  readonly #set = new Map<number, Deadline>();
  #timer: ReturnType<typeof setTimeout> | null = null;
  #rings = Infinity;
  #ended = false;

  /** Whether something will ring. */
  get any(): boolean {
    return this.#set.size > 0;
  }

  /** Rings at this moment (milliseconds since the epoch), once, unless it is cleared; replaces the one of
   * the same name. */
  set(name: number, at: number, ring: () => void): void {
    if (this.#ended) return;
    this.#set.set(name, { at, ring });
    const now = Date.now();
    if (this.#timer === null) this.#arm(Math.min(at, now + FIRST_MS), now);
    else if (at < this.#rings) this.#arm(at, now);
  }

  clear(name: number): void {
    this.#set.delete(name);
  }

  /** Nothing rings any more. */
  end(): void {
    this.#ended = true;
    this.#set.clear();
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  #arm(at: number, now: number): void {
    clearTimeout(this.#timer);
    this.#rings = at;
    this.#timer = setTimeout(() => this.#ring(), Math.min(Math.max(0, at - now), LONGEST_MS));
  }

  #ring(): void {
    this.#timer = null;
    const now = Date.now();
    for (const [name, { at, ring }] of [...this.#set]) {
      if (at > now || this.#set.get(name)?.ring !== ring) continue;
      this.#set.delete(name);
      ring();
    }
    const next = Math.min(...[...this.#set.values()].map(({ at }) => at));
    if (Number.isFinite(next) && this.#timer === null) this.#arm(next, now);
  }
}
