// The Wasm instance of this isolate. One instance serves the gateway and every object that lives here.
//
// A panic is an exception of one call and leaves the instance sound. A trap (out of memory, stack
// overflow) does not: the instance is replaced at once, before another call can copy its arguments into
// the dead one's memory. Handles made before are dead then and say so when they are used.
import * as wasm from "tidegate-wasm";

let generation = 0;

/** Changes when every handle made so far has died. */
export function currentGeneration(): number {
  return generation;
}

/** Every call into Wasm goes through here. */
export function enter<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (!isSound(error)) {
      generation += 1;
      wasm.__wbg_reset_state();
    }
    throw error;
  }
}

/** Errors of Rust's are plain; whatever else comes out (a trap, V8's own stack limit) is an accident. */
function isSound(error: unknown): boolean {
  return error instanceof Error && (error.name === "Error" || error.name === "PanicError");
}

/** What may be said about a failure. A panic's text may quote a prompt or a key: only its place is
 * logged, where it happened. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return "something that is no error was thrown";
  if (error.name === "PanicError") return "a fault of the gateway's own (panic)";
  if (error instanceof WebAssembly.RuntimeError) return `a fault of the gateway's own (${error.message})`;
  return error.message;
}

/** One line of structured log. */
export function logError(event: string, error: unknown, fields: Record<string, unknown> = {}): void {
  console.error(JSON.stringify({ level: "error", event, ...fields, error: describe(error) }));
}
