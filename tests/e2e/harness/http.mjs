// HTTP by hand: every byte, every moment, and the end of a connection as it was.
import http from "node:http";
import { performance } from "node:perf_hooks";
import { violation } from "./contract.mjs";
import { HEAD_BYTES, answer, noteAdmin } from "./secrets.mjs";

/** Unix milliseconds with fractions, comparable with the journal of the scripted upstream. */
export const now = () => performance.timeOrigin + performance.now();

/** Longer than any test allows a request to take: what reaches it hangs. */
const HANGS_AFTER_MS = 30_000;

/** One request and all that comes of it. `finished` resolves however it ends: see `end`. */
export class Exchange {
  status;
  headers;
  startedAt = now();
  headersAt;
  endedAt;
  /** `complete`, `broken` (the connection ended early), `left` (we left) or `hung`. */
  end;
  error;
  chunks = [];
  #request;
  #response;
  #watchers = new Set();

  constructor(base, { method = "POST", path, headers = {}, body, agent = false, hangsAfterMs = HANGS_AFTER_MS }) {
    const url = new URL(path, base);
    this.finished = new Promise((resolve, reject) => {
      const finish = (end, error) => {
        if (this.end !== undefined) return;
        this.end = end;
        this.error = error;
        this.endedAt = now();
        clearTimeout(timer);
        this.#note(method, path, body);
        this.#notify();
        // An answer that came whole is one that the contract describes.
        const why = end === "complete" ? violation(url, method, { status: this.status, headers: this.headers, body: () => this.text }) : undefined;
        if (why === undefined) resolve(this);
        else reject(new Error(`${method} ${path} answered what the contract does not describe: ${why}\n${this.status} ${this.text.slice(0, 1000)}`));
      };
      const timer = setTimeout(() => {
        finish("hung");
        this.#request.destroy();
      }, hangsAfterMs);
      this.#request = http.request(url, { method, headers, agent }, (response) => {
        this.#response = response;
        this.status = response.statusCode;
        this.headers = response.headers;
        this.headersAt = now();
        response.on("data", (bytes) => {
          this.chunks.push({ at: now(), bytes });
          this.#notify();
        });
        response.on("end", () => finish("complete"));
        response.on("error", (error) => finish(this.leftAt === undefined ? "broken" : "left", error));
        response.on("close", () => finish(this.leftAt === undefined ? "broken" : "left"));
        this.#notify();
      });
      this.#request.on("error", (error) => finish(this.leftAt === undefined ? "broken" : "left", error));
      if (body !== undefined && typeof body !== "string" && !Buffer.isBuffer(body)) {
        // Pieces without a declared length.
        for (const piece of body) this.#request.write(piece);
        this.#request.end();
      } else {
        this.#request.end(body);
      }
    });
  }

  /** Breaks the connection off and remembers when: with a reset, or `inOrder` with a FIN. */
  leave({ inOrder = false } = {}) {
    this.leftAt = now();
    if (!inOrder) this.#request.socket?.resetAndDestroy();
    this.#request.destroy();
    return this.leftAt;
  }

  /** Stops, and goes on, reading. */
  pause() {
    this.#response.pause();
  }

  resume() {
    this.#response.resume();
  }

  /** Resolves as soon as `accept(this)` holds; rejects when the exchange ends before it does. */
  until(accept) {
    return new Promise((resolve, reject) => {
      const look = () => {
        if (accept(this)) {
          this.#watchers.delete(look);
          resolve(this);
        } else if (this.end !== undefined) {
          this.#watchers.delete(look);
          reject(new Error(`the exchange ended (${this.end}, status ${this.status}) first: ${this.text.slice(0, 500)}`));
        }
      };
      this.#watchers.add(look);
      look();
    });
  }

  /** For the secret scan at the end of the run. */
  #note(method, path, body) {
    if (this.status === undefined) return;
    const head = Buffer.concat(this.chunks.slice(0, HEAD_BYTES / 64).map((chunk) => chunk.bytes.subarray(0, HEAD_BYTES))).subarray(0, HEAD_BYTES);
    answer(method, path, this.status, this.headers, head);
    if (path.startsWith("/admin/")) noteAdmin(method, path, body, this.status, this.bytes);
  }

  #notify() {
    for (const look of [...this.#watchers]) look();
  }

  get bytes() {
    return Buffer.concat(this.chunks.map((chunk) => chunk.bytes));
  }

  get text() {
    return this.bytes.toString("utf8");
  }

  get json() {
    return JSON.parse(this.text);
  }

  /** How long it took in all. */
  get tookMs() {
    return this.endedAt - this.startedAt;
  }

  /** From the request to the first event that carries text. */
  get firstTokenMs() {
    let text = "";
    for (const { at, bytes } of this.chunks) {
      text += bytes.toString("latin1");
      if (/"content":"[^"]/.test(text)) return at - this.startedAt;
    }
    return undefined;
  }
}

/** Sends and waits for the end. */
export const exchange = (base, options) => new Exchange(base, options).finished;

/** Payloads of a stream's events: objects, and `"[DONE]"`. Throws where the stream is not well-formed. */
export function events(text) {
  if (text !== "" && !text.endsWith("\n\n")) throw new Error(`the stream ends inside an event: ${JSON.stringify(text.slice(-200))}`);
  const payloads = [];
  for (const frame of text.split("\n\n")) {
    const lines = frame.split("\n").filter((line) => line !== "" && !line.startsWith(":"));
    if (lines.length === 0) continue;
    if (lines.some((line) => !line.startsWith("data:"))) throw new Error(`an event has a line that is no data: ${JSON.stringify(frame.slice(0, 200))}`);
    const data = lines.map((line) => line.slice(5).replace(/^ /, "")).join("\n");
    payloads.push(data === "[DONE]" ? data : JSON.parse(data));
  }
  return payloads;
}

/** What a stream said: its text, how it finished, whether it was an error, whether `[DONE]` came. */
export function told(text) {
  const payloads = events(text);
  const chunks = payloads.filter((payload) => payload !== "[DONE]" && payload.error === undefined);
  const choices = chunks.flatMap((chunk) => chunk.choices ?? []);
  return {
    payloads,
    text: choices.map((choice) => choice.delta?.content ?? choice.text ?? "").join(""),
    finish: choices.map((choice) => choice.finish_reason).find((reason) => reason),
    error: payloads.find((payload) => payload.error !== undefined)?.error,
    done: payloads.includes("[DONE]"),
    usage: chunks.map((chunk) => chunk.usage).find((usage) => usage),
  };
}
