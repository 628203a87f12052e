// The one timer of an exchange.

/** `setTimeout` takes 31 bits and fires at once beyond them. */
const LONGEST_MS = 2 ** 31 - 1;

export class Timer {
  #running: ReturnType<typeof setTimeout> | null = null;

  get runs(): boolean {
    return this.#running !== null;
  }

  /** Rings at this moment (milliseconds since the epoch) instead of the one before. */
  set(atMs: number, ring: () => void): void {
    this.clear();
    const wait = Math.min(Math.max(0, atMs - Date.now()), LONGEST_MS);
    this.#running = setTimeout(() => {
      this.#running = null;
      ring();
    }, wait);
  }

  clear(): void {
    clearTimeout(this.#running);
    this.#running = null;
  }
}
