// Multipart forms by hand, and uploads that a test can stop in the middle.
import { createHash } from "node:crypto";
import http from "node:http";
import { now } from "./http.mjs";

const BOUNDARY = "----tidegate-e2e-7MA4YWxk";

export const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

const noises = new Map();

/** Bytes that no compression and no luck reproduces. */
export function noise(length) {
  const known = noises.get(length);
  if (known !== undefined) return known;
  const bytes = Buffer.allocUnsafe(length);
  noises.set(length, bytes);
  let state = 1;
  for (let at = 0; at + 4 <= length; at += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes.writeUInt32LE(state, at);
  }
  bytes.fill(7, length - (length % 4));
  return bytes;
}

/** A form of `[name, value]`; a Buffer is a file. */
export function form(...fields) {
  const parts = fields.flatMap(([name, value]) => [
    Buffer.from(`--${BOUNDARY}\r\nContent-Disposition: form-data; name="${name}"${Buffer.isBuffer(value) ? '; filename="a.wav"\r\nContent-Type: audio/wav' : ""}\r\n\r\n`),
    Buffer.from(value),
    Buffer.from("\r\n"),
  ]);
  return Buffer.concat([...parts, Buffer.from(`--${BOUNDARY}--\r\n`)]);
}

export const FORM = { "content-type": `multipart/form-data; boundary=${BOUNDARY}` };

/** An upload of which `write` sends the next bytes. `answer` resolves with status and text, or with the
 * error that ended it. */
export class Sending {
  constructor(base, { path, headers, length }) {
    let resolve;
    this.answer = new Promise((settle) => (resolve = settle));
    this.request = http.request(new URL(path, base), { method: "POST", agent: false, headers: { ...headers, ...(length === undefined ? {} : { "content-length": length }) } }, (response) => {
      let text = "";
      response.on("data", (bytes) => (text += bytes));
      response.on("end", () => resolve({ status: response.statusCode, text, at: now() }));
      response.on("error", (error) => resolve({ error }));
    });
    this.request.on("error", (error) => resolve({ error }));
  }

  /** Resolves once the bytes have left this process. */
  write(bytes) {
    return new Promise((resolve) => this.request.write(bytes, resolve));
  }

  /** With a reset. */
  leave() {
    this.request.socket?.resetAndDestroy();
    this.request.destroy();
    return now();
  }
}
