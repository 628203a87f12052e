// Reading bodies with a limit: whatever is longer is not kept.

type Body = ReadableStream<Uint8Array> | null;

/** What a client may still send of a body that nobody wants, and for how long: more than the longest body
 * that is taken, and more time than that needs on most lines. */
const DISCARD_BYTES = 128 * 1024 * 1024;
const DISCARD_MS = 5000;

/** The body of a request or an answer, or `undefined` when it is longer than `limit`: then what was not
 * read is left to the caller. */
export async function readWhole(message: Request | Response, limit: number): Promise<Uint8Array | undefined> {
  const declared = message.headers.get("content-length");
  // Compressed, an answer grows beyond what it declared while it is read.
  if (declared !== null && !message.headers.has("content-encoding")) {
    if (Number(declared) > limit) return undefined;
    // HTTP lets no body be longer than it declared itself: one call instead of one for each piece.
    return new Uint8Array(await message.arrayBuffer());
  }
  const { bytes, more } = await read(message.body, limit);
  return more ? undefined : bytes;
}

/** The first bytes of a body, at most `limit`. */
export async function readHead(body: Body, limit: number): Promise<Uint8Array> {
  const { bytes, more } = await read(body, limit);
  if (more) void body?.cancel().catch(() => undefined);
  return bytes;
}

/** Reads on for nothing. A connection that is closed while its client writes is reset, and most clients
 * then report that and try again, instead of reading the answer. It has to be done before the answer:
 * behind it the platform lets nobody read. Never rejects. */
export async function discard(body: Body): Promise<void> {
  if (body === null || body.locked) return;
  const reader = body.getReader();
  const skip = async () => (await reader.read()).value?.length;
  return skipAll(skip, () => void reader.cancel().catch(() => undefined));
}

/** The same for whatever is read so: `skip` tells how much it read, or nothing at the end. */
export async function skipAll(skip: () => Promise<number | undefined>, end: () => void): Promise<void> {
  const late = setTimeout(end, DISCARD_MS);
  try {
    for (let left = DISCARD_BYTES; left > 0; ) {
      const length = await skip();
      if (length === undefined) return;
      left -= length;
    }
    end();
  } catch {
    // The client has left.
  } finally {
    clearTimeout(late);
  }
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
      reader.releaseLock();
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
