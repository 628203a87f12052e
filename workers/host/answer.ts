// The one answer of an exchange: whole, or a stream that is opened, written and closed.
import { ClientStream } from "./client_stream";
import type { HeaderLines } from "./effects";
import { unflatten } from "./headers";
import { ownFaultEvent } from "./refusal";

/** Statuses whose responses have no body, not even an empty one. */
const BODILESS = [204, 205, 304];

export class Answer {
  readonly #response = Promise.withResolvers<Response>();
  #begun = false;
  #stream: ClientStream | undefined;

  /** Resolves when the answer begins. Never rejects. */
  get response(): Promise<Response> {
    return this.#response.promise;
  }

  get begun(): boolean {
    return this.#begun;
  }

  get streams(): boolean {
    return this.#stream !== undefined;
  }

  /** The first answer counts; there is never a second one but after a failure. A promise must not reject. */
  settle(response: Response | Promise<Response>): void {
    this.#begun = true;
    this.#response.resolve(response);
  }

  respond(status: number, headers: HeaderLines, body: string | Uint8Array): void {
    this.settle(new Response(BODILESS.includes(status) ? null : body, { status, headers: unflatten(headers) }));
  }

  open(headers: HeaderLines, onCancel: () => void): void {
    this.#stream = new ClientStream(onCancel);
    this.settle(new Response(this.#stream.readable, { headers: unflatten(headers) }));
  }

  write(bytes: Uint8Array): void {
    this.#stream?.write(bytes);
  }

  close(): void {
    this.#stream?.close();
  }

  break(): void {
    this.#stream?.break();
  }

  /** Nothing when the client can take more now, else a promise of it. */
  room(): Promise<void> | undefined {
    return this.#stream?.room();
  }

  /** Answers with `response`, or where the answer has begun, says so in the stream and ends it. */
  fail(response: Response): void {
    if (this.#begun) this.write(ownFaultEvent());
    this.close();
    this.settle(response);
  }
}
