// Reading bodies with a limit: whatever is longer is not read to its end.

type Body = ReadableStream<Uint8Array> | null;

/** The whole body, or `undefined` when it is longer than `limit`. */
export async function readWhole(body: Body, limit: number): Promise<Uint8Array | undefined> {
  const { bytes, more } = await read(body, limit);
  return more ? undefined : bytes;
}

/** The first bytes of a body, at most `limit`. */
export async function readHead(body: Body, limit: number): Promise<Uint8Array> {
  return (await read(body, limit)).bytes;
}

/** A request's body, or `undefined` when it is longer than `limit`. */
export async function readRequest(request: Request, limit: number): Promise<Uint8Array | undefined> {
  const declared = request.headers.get("content-length");
  if (declared !== null) {
    if (Number(declared) > limit) return undefined;
    // HTTP lets no body be longer than it declared itself: one call instead of one for each piece.
    return new Uint8Array(await request.arrayBuffer());
  }
  return readWhole(request.body, limit);
}

async function read(body: Body, limit: number): Promise<{ bytes: Uint8Array; more: boolean }> {
  if (body === null) return { bytes: new Uint8Array(), more: false };
  const reader = body.getReader();
  const pieces: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return { bytes: joined(pieces, length), more: false };
    if (length + value.length > limit) {
      pieces.push(value.subarray(0, limit - length));
      void reader.cancel().catch(() => undefined);
      return { bytes: joined(pieces, limit), more: true };
    }
    pieces.push(value);
    length += value.length;
  }
}

function joined(pieces: Uint8Array[], length: number): Uint8Array {
  const [only] = pieces;
  if (only !== undefined && pieces.length === 1) return only;
  const whole = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
