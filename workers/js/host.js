// JavaScript the Rust side imports: what the platform offers only as JavaScript.
export function now_ms() {
  return Date.now();
}

export function boom() {
  throw new Error("the platform refused");
}
