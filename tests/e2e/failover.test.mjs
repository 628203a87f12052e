// Faults before the first byte: the client gets its answer from another server, or an error in time.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ms, figure } from "./harness/figures.mjs";
import { now, told } from "./harness/http.mjs";
import { ANSWER, NO_BREAKER, answered, refused, stage } from "./harness/stage.mjs";

const SHORT = { first_token_timeout_ms: 1500, idle_timeout_ms: 1500, total_timeout_ms: 8000, hedge: false, retry_budget_percent: 100 };
/** A timer of ours, one hop and a busy machine. */
const SLACK_MS = 1000;

const BEFORE_THE_FIRST_BYTE = {
  "a refused connection": (upstream) => upstream.accepting("refuse", { close_existing: true }),
  "a reset connection": (upstream) => upstream.accepting("reset", { close_existing: true }),
  "an accepted connection that is never read": (upstream) => upstream.accepting("ignore", { close_existing: true }),
  "silence": (upstream) => upstream.behave("hang"),
  "an end without a byte": (upstream) => upstream.behave("close"),
  "a reset after the request": (upstream) => upstream.behave("close", { how: "reset" }),
  "headers and then silence": (upstream) => upstream.behave("headers_then_silence"),
  "headers that trickle": (upstream) => upstream.script({ trickle_head_ms: 500, behaviour: { do: "good" } }),
  "a 500": (upstream) => upstream.behave("status", { status: 500 }),
  "a 502 in HTML": (upstream) => upstream.behave("status", { status: 502, headers: [["Content-Type", "text/html"]], body: "<html>bad gateway</html>" }),
  "a 503": (upstream) => upstream.behave("status", { status: 503 }),
  "a 429": (upstream) => upstream.behave("status", { status: 429, headers: [["Retry-After", "30"]] }),
  "an HTML page with 200": (upstream) => upstream.behave("html_page"),
  "an error with 200": (upstream) => upstream.behave("error_with_ok"),
  "a redirect": (upstream) => upstream.behave("redirect", { status: 307, location: "http://127.0.0.1:9/v1/chat/completions" }),
  "its own key refused": (upstream) => upstream.behave("status", { status: 401 }),
  "JSON that is none": (upstream) => upstream.behave("invalid_json", { at: 0 }),
};

for (const [fault, order] of Object.entries(BEFORE_THE_FIRST_BYTE)) {
  test(`after ${fault} another server answers`, async (t) => {
    const set = await stage(t, { servers: [{ priority: 1 }, { priority: 0 }], policy: SHORT });
    await order(set.upstreams[0]);
    const [plain, stream] = [await set.ask(), await set.stream()];
    answered(plain);
    assert.equal(stream.status, 200, stream.text);
    const said = told(stream.text);
    assert.deepEqual([said.text, said.done, said.error], [ANSWER, true, undefined]);
    assert.equal(stream.headers["x-gateway-server-id"], set.servers[1]);
    assert.equal((await set.upstreams[1].posts()).length, 2, "one request is one call to the server that answers it");
  });
}

test("a header that trickles ends in 504 at the first-token deadline", async (t) => {
  const set = await stage(t, { policy: SHORT });
  await set.upstreams[0].script({ trickle_head_ms: 500, behaviour: { do: "good" } });
  const reply = await set.ask();
  refused(reply, 504, "upstream_timeout");
  assert.equal(reply.headers["x-should-retry"], "false", "our own attempts are used up");
  assert.ok(reply.tookMs < SHORT.first_token_timeout_ms + SLACK_MS, `${reply.tookMs} ms`);
  assert.equal((await set.upstreams[0].aborted()).outcome, "aborted");
});

test("the total deadline ends a plain answer and a stream that both make progress", async (t) => {
  const set = await stage(t, { policy: { ...SHORT, first_token_timeout_ms: 5000, total_timeout_ms: 1000 } });
  await set.upstreams[0].behave("pace", { chunks: 100, interval_ms: 100 });
  const [plain, stream] = await Promise.all([set.ask(), set.stream()]);
  refused(plain, 504, "upstream_timeout");
  const said = told(stream.text);
  assert.equal(said.error?.code, "upstream_timeout", stream.text.slice(-500));
  assert.equal(said.done, false);
  for (const reply of [plain, stream]) assert.ok(reply.tookMs < 1000 + SLACK_MS, `${reply.tookMs} ms`);
});

test("one of two servers hangs: eight of eight requests are answered within 12 s", async (t) => {
  // The policy as it comes.
  const set = await stage(t, { servers: 2 });
  await set.upstreams[0].behave("hang");
  const replies = await Promise.all(Array.from({ length: 8 }, () => set.ask({}, { hangsAfterMs: 12_000 })));
  const good = replies.filter((reply) => reply.end === "complete" && reply.status === 200).length;
  figure(2, `${good} of 8 (all within ${ms(Math.max(...replies.map((reply) => reply.tookMs)))})`);
  assert.equal(good, 8, replies.map((reply) => `${reply.end} ${reply.status}`).join(", "));
});

test("one of two servers hangs: requests one after another are answered, and the hung one is learnt", async (t) => {
  const set = await stage(t, { servers: 2 });
  await set.upstreams[0].behave("hang");
  for (let n = 0; n < 8; n += 1) answered(await set.ask({}, { hangsAfterMs: 12_000 }));
  const asked = (await set.upstreams[0].posts()).length;
  assert.ok(asked <= 5, `the hung server was asked ${asked} times`);
});

test("a fault of the whole fleet is over within a second of its end", async (t) => {
  const set = await stage(t, { servers: 2 });
  for (const upstream of set.upstreams) await upstream.behave("status", { status: 500 });
  for (let n = 0; n < 15; n += 1) {
    const reply = await set.ask();
    assert.ok(reply.status >= 500, `${reply.status}`);
    refused(reply, reply.status);
  }
  for (const upstream of set.upstreams) await upstream.heal();
  const healed = now();
  let reply = await set.ask();
  while (reply.status !== 200 && now() - healed < 20_000) reply = await set.ask();
  answered(reply);
  const took = now() - healed;
  figure(3, ms(took));
  assert.ok(took < 1000 + 250, `${took} ms`);
});

test("client faults are answered as they are, once, and eject nobody", async (t) => {
  const set = await stage(t, { servers: 2 });
  for (const status of [400, 404, 422]) {
    for (const upstream of set.upstreams) await upstream.behave("status", { status });
    for (let n = 0; n < 7; n += 1) refused(await set.ask(), status);
  }
  const posts = (await Promise.all(set.upstreams.map((upstream) => upstream.posts()))).flat();
  assert.equal(posts.length, 21, "a request that is the client's fault is not tried elsewhere");
  for (const upstream of set.upstreams) await upstream.heal();
  for (let n = 0; n < 4; n += 1) answered(await set.ask());
  for (const n of [0, 1]) assert.equal((await set.server(n)).breaker.state, "admitting");
});

test("attempts of one request are bounded while everything fails", async (t) => {
  const set = await stage(t, { servers: 4, policy: { ...NO_BREAKER, max_retries: 2 } });
  for (const upstream of set.upstreams) await upstream.behave("status", { status: 500 });
  const requests = 300;
  for (let n = 0; n < requests; n += 1) {
    const reply = await set.ask();
    assert.ok(reply.status >= 500);
    if (reply.status !== 503) assert.equal(reply.headers["x-should-retry"], "false");
  }
  const posts = (await Promise.all(set.upstreams.map((upstream) => upstream.posts()))).flat();
  // At this many the share of a fifth rules, not the floor of each server.
  assert.ok(posts.length <= requests * 1.2 + 4, `${posts.length} attempts for ${requests} requests`);
});
