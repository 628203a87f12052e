// Everything that the scripted upstream can do wrong, once through the gateway: never a hang, never a
// crash, always the right answer or an error in OpenAI's shape.
import assert from "node:assert/strict";
import { isUtf8 } from "node:buffer";
import { after, before, test } from "node:test";
import { told } from "./harness/http.mjs";
import { ANSWER, NO_BREAKER, answered, assertEnvelope, stage } from "./harness/stage.mjs";

const DEADLINES = { first_token_timeout_ms: 1500, idle_timeout_ms: 1500, total_timeout_ms: 8000 };
const POLICY = { ...NO_BREAKER, ...DEADLINES, hedge: false, max_retries: 1, retry_budget_percent: 100 };
/** Two attempts to their deadline, and a busy machine. */
const AT_MOST_MS = 2 * DEADLINES.first_token_timeout_ms + 1500;

const OK = "answer";
/** The text so far, then an error event. */
const CUT = "cut";
const base64 = (...bytes) => Buffer.from(bytes).toString("base64");
const chunk = (text) => `data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: text }, finish_reason: null }] })}\n\n`;
const raw = (parts, fields = {}) => ({ do: "raw", content_type: "text/event-stream", parts, ...fields });

/** What: [order, expected of a plain answer, expected of a stream]. A number is the status of an error. */
const TABLE = {
  "a good answer": [{ do: "good" }, OK, OK],
  "an unknown model": [{ do: "unknown_model" }, 404, 404],
  "no answer": [{ do: "hang" }, 504, 504],
  "an end without a byte": [{ do: "close" }, 502, 502],
  "a reset": [{ do: "close", how: "reset" }, 502, 502],
  "headers and silence": [{ do: "headers_then_silence" }, 504, 504],
  "a cut after three chunks": [{ do: "cut", after_chunks: 3 }, "any answer", CUT],
  "a cut before the first chunk": [{ do: "cut", after_chunks: 0 }, "any answer", 502],
  "a reset after three chunks": [{ do: "cut", after_chunks: 3, how: "reset" }, "any answer", CUT],
  "half a frame and the end": [{ do: "cut", after_chunks: 3, half_frame: true }, "any answer", CUT],
  "a stall after three chunks": [{ do: "cut", after_chunks: 3, how: "silence" }, "any answer", CUT],
  "a body cut short": [{ do: "cut_body", after_bytes: 60 }, 502, 502],
  "a body that stalls": [{ do: "cut_body", after_bytes: 60, how: "silence" }, 504, 504],
  "JSON that is none at first": [{ do: "invalid_json", at: 0 }, 502, 502],
  "JSON that is none later": [{ do: "invalid_json", at: 2 }, 502, CUT],
  "broken UTF-8": [{ do: "broken_utf8", at: 2 }, OK, "any answer"],
  "a byte order mark": [{ do: "bom" }, OK, OK],
  "lines that end with CR": [{ do: "cr_lines" }, OK, OK],
  "lines that end with CR LF": [{ do: "crlf_lines" }, OK, OK],
  "an empty data line": [{ do: "empty_data", at: 2 }, OK, OK],
  "an event of 100 kB": [{ do: "giant_event", bytes: 100_000 }, OK, "any answer"],
  "an event of 20 MB": [{ do: "giant_event", bytes: 20_000_000 }, OK, 502],
  "no [DONE]": [{ do: "no_done" }, OK, OK],
  "more after [DONE]": [{ do: "after_done" }, OK, OK],
  "an error event at first": [{ do: "error_event", at: 0 }, OK, 502],
  "an error event later": [{ do: "error_event", at: 2 }, OK, CUT],
  "an HTML page": [{ do: "html_page" }, 502, 502],
  "JSON to a stream": [{ do: "json_for_stream" }, OK, OK],
  "events to a plain request": [{ do: "sse_for_plain" }, 502, OK],
  "an error with 200": [{ do: "error_with_ok" }, 502, 502],
  "null choices": [{ do: "null_choices" }, 502, 502],
  "usage beside the finish": [{ do: "usage_with_finish" }, OK, OK],
  "a redirect": [{ do: "redirect", status: 307, location: "http://127.0.0.1:9/" }, 502, 502],
  "a body in gzip": [{ do: "gzip" }, OK, OK],
  "an empty stream": [raw([]), 502, 502],
  "only [DONE]": [raw([{ utf8: "data: [DONE]\n\n" }]), 502, "any answer or error"],
  "comments without end": [raw(Array.from({ length: 20 }, () => ({ wait_ms: 400, utf8: ": ping\n\n" }))), 504, 504],
  "zero bytes": [raw([{ base64: base64(0, 0, 0, 0) }]), 502, 502],
  "a broken character across writes": [raw([{ utf8: chunk("ab") }, { base64: base64(0xf0, 0x9f) }, { utf8: "\n\n" }]), 502, "answer or cut"],
  "an array": [raw([{ utf8: "[]" }], { content_type: "application/json" }), 502, 502],
  "a number": [raw([{ utf8: "7" }], { content_type: "application/json" }), 502, 502],
  "nothing at all": [raw([], { content_type: "application/json" }), 502, 502],
  "a JSON bomb": [raw([{ utf8: "[".repeat(100_000) }], { content_type: "application/json" }), 502, 502],
  "a status of 204": [{ do: "status", status: 204, body: "" }, 502, 502],
  "a status of 206": [{ do: "status", status: 206, body: "" }, 502, 502],
  "a status of 418": [{ do: "status", status: 418 }, 418, 418],
  "a status of 401": [{ do: "status", status: 401 }, 502, 502],
  "a status of 500": [{ do: "status", status: 500 }, 500, 500],
  "a status of 599": [{ do: "status", status: 599 }, 502, 502],
  "an error that is a string": [{ do: "status", status: 400, body: { error: "no" } }, 400, 400],
  "an error that is a detail": [{ do: "status", status: 422, body: { detail: [{ msg: "no" }] } }, 422, 422],
};

/** Rules beside the behaviour: what a connection does. */
const RULES = {
  "interim answers": [{ interim: [102, 103], behaviour: { do: "good" } }, OK, OK],
  "a head that trickles": [{ trickle_head_ms: 300, behaviour: { do: "good" } }, 504, 504],
  "a length that is too long": [{ framing: { length_off_by: 50 }, behaviour: { do: "good" } }, 502, "answer or broken"],
  "a length that is too short": [{ framing: { length_off_by: -50 }, behaviour: { do: "good" } }, 502, "answer or broken"],
  "no length": [{ framing: "until_close", behaviour: { do: "good" } }, OK, OK],
  "a silent close after the answer": [{ after: "silent_close", behaviour: { do: "good" } }, OK, OK],
  "an announced close": [{ after: "announce_close", behaviour: { do: "good" } }, OK, OK],
  "two content lengths": [{ extra_headers: [["Content-Length", "5"]], behaviour: { do: "good" } }, 502, "answer or cut or error"],
  "a header of 20 kB": [{ extra_headers: [["x-long", "y".repeat(20_000)]], behaviour: { do: "good" } }, "answer or error", "answer or error"],
};

function judge(reply, stream, expected, what) {
  assert.equal(reply.end, "complete", `${what}: ended ${reply.end}`);
  assert.ok(reply.tookMs < AT_MOST_MS, `${what}: ${reply.tookMs} ms`);
  const isStream = stream && reply.status === 200;
  const said = isStream ? told(reply.text) : undefined;
  const is = {
    answer: () => (isStream ? said.text === ANSWER && said.done && said.error === undefined : reply.status === 200 && reply.json.choices[0].message.content === ANSWER),
    "any answer": () => (isStream ? said.done && said.error === undefined : reply.status === 200 && reply.json.choices.length > 0),
    cut: () => isStream && said.error !== undefined && !said.done && said.finish === undefined,
    // Cut behind the finish: the error tells, though the text is all there.
    broken: () => isStream && said.error !== undefined && !said.done,
    error: () => reply.status >= 400 && reply.status < 600,
  };
  assert.ok(isUtf8(reply.bytes), `${what}: broken UTF-8 was passed on`);
  if (reply.status >= 400) assertEnvelope(reply.json.error, what);
  if (said?.error) assertEnvelope(said.error, what);
  const seen = `${reply.status} ${reply.text.slice(-600)}`;
  if (typeof expected === "number") assert.equal(reply.status, expected, `${what}: ${seen}`);
  else assert.ok(expected.split(" or ").some((one) => is[one]()), `${what}: expected ${expected}, got ${seen}`);
}

const cleanups = [];
let set;
before(async () => {
  set = await stage({ after: (work) => cleanups.push(work) }, { servers: [{ max_concurrency: 64 }], policy: POLICY });
});
after(async () => {
  for (const work of cleanups) await work();
});

const rows = [...Object.entries(TABLE).map(([what, [behaviour, ...expected]]) => [what, { behaviour }, ...expected]), ...Object.entries(RULES).map(([what, row]) => [what, ...row])];
for (const [what, rule, plain, streamed] of rows) {
  test(`an upstream with ${what}`, async () => {
    await set.upstreams[0].script(rule);
    const [one, two] = await Promise.all([set.ask(), set.stream()]);
    await set.upstreams[0].heal();
    judge(one, false, plain, "plain");
    judge(two, true, streamed, "stream");
    answered(await set.ask());
  });
}

test("after all of it every slot is free", async () => {
  await set.untilServer(0, (server) => server.queue.running === 0 && server.leases.length === 0, "free slots");
});
