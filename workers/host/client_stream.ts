// The streamed answer to a client.
//
// Back-pressure: a little is read ahead, so that a client that keeps up costs no promise for each chunk;
// one that does not makes `room()` wait, and then the server is not read from.

/** Read ahead of the client, in bytes: some hundred tokens. Held for each stream, so not more. */
const READ_AHEAD = 16 * 1024;

export class ClientStream {
  readonly readable: ReadableStream<Uint8Array>;
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #pulled: (() => void) | undefined;

  constructor(onCancel: () => void) {
    this.readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#wake(),
        cancel: () => {
          this.#controller = undefined;
          this.#wake();
          onCancel();
        },
      },
      new ByteLengthQueuingStrategy({ highWaterMark: READ_AHEAD }),
    );
  }

  /** Nothing when there is room now, else a promise of it. */
  room(): Promise<void> | undefined {
    if (this.#controller === undefined || (this.#controller.desiredSize ?? 1) > 0) return undefined;
    return new Promise((resolve) => {
      this.#pulled = resolve;
    });
  }

  /** Does nothing once the client is gone. */
  write(bytes: Uint8Array): void {
    // The platform refuses empty chunks in some kinds of stream.
    if (bytes.length > 0) this.#controller?.enqueue(bytes);
  }

  /** Ends the stream after what is still to be read. */
  close(): void {
    this.#controller?.close();
    this.#controller = undefined;
    this.#wake();
  }

  /** Breaks the stream off: the platform ends the connection without the end of the body. */
  break(): void {
    this.#controller?.error(new Error("the answer broke off"));
    this.#controller = undefined;
    this.#wake();
  }

  #wake(): void {
    const pulled = this.#pulled;
    this.#pulled = undefined;
    pulled?.();
  }
}
