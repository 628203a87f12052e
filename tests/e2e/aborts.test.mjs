// The client leaves: the upstream is closed at once, the slot is free, what was sent is counted.
//
// workerd tells of a client that leaves before the answer has begun when the connection is reset. One that
// is closed in order looks to it like a client that has said all it had to say, so there it is noticed at
// the first write. (On Cloudflare the platform's own front tells of both.)
import assert from "node:assert/strict";
import { test } from "node:test";
import { figure, ms } from "./harness/figures.mjs";
import { answered, stage } from "./harness/stage.mjs";

const CLOSED_WITHIN_MS = 250;

const PHASES = {
  "before the first token": { stream: true, behaviour: { do: "hang" }, reached: (set) => set.upstreams[0].arrived() },
  "in the middle of a stream": { stream: true, behaviour: { do: "pace", chunks: 1000, interval_ms: 20 }, reached: (_set, running) => running.until((exchange) => exchange.text.includes("w3")) },
  "while a plain answer is pending": { stream: false, behaviour: { do: "pace", chunks: 2, interval_ms: 20_000 }, reached: (set) => set.upstreams[0].arrived() },
};

const took = {};
for (const [phase, { stream, behaviour, reached }] of Object.entries(PHASES)) {
  test(`a client that leaves ${phase} closes the upstream and frees the slot`, async (t) => {
    const set = await stage(t, { servers: [{ max_concurrency: 1, queue_depth: 0 }] });
    await set.upstreams[0].script({ times: 1, behaviour });
    const running = set.open({ stream });
    await reached(set, running);
    const left = running.leave();
    const { client_left_ms } = await set.upstreams[0].aborted();
    took[phase] = client_left_ms - left;
    assert.ok(took[phase] < CLOSED_WITHIN_MS, ms(took[phase]));
    const { leases, breaker } = await set.untilServer(0, (server) => server.queue.running === 0, "a free slot");
    assert.deepEqual([leases, breaker.consecutive_failures], [[], 0], "and nobody is blamed");
    answered(await set.ask());
    assert.equal((await set.upstreams[0].posts()).length, 2, "nothing was sent again for the client that left");
    const { totals } = await set.untilServer(0, (server) => server.totals.client_left === 1, "the client that left to be counted");
    assert.equal(totals.failures, 0);
    if (Object.keys(took).length === 3) figure(5, `${Object.values(took).map(ms).join(" · ")}, slot free (before the answer: a reset connection)`);
  });
}

test("a client that closes in order before the first token is noticed at the first write", async (t) => {
  const set = await stage(t, { servers: [{ max_concurrency: 1, queue_depth: 0 }] });
  await set.upstreams[0].behave("pace", { chunks: 1000, first_ms: 500, interval_ms: 20 });
  const running = set.open({ stream: true });
  await set.upstreams[0].arrived();
  running.leave({ inOrder: true });
  const { client_left_ms, first_byte_ms } = await set.upstreams[0].aborted();
  const after = client_left_ms - (first_byte_ms + 500);
  assert.ok(after < CLOSED_WITHIN_MS, `${ms(after)} after the first token`);
  await set.untilServer(0, (server) => server.queue.running === 0, "a free slot");
});

test("a client that closes in order in the middle of a stream closes the upstream", async (t) => {
  const set = await stage(t);
  await set.upstreams[0].behave("pace", { chunks: 1000, interval_ms: 20 });
  const running = set.open({ stream: true });
  await running.until((exchange) => exchange.text.includes("w3"));
  const left = running.leave({ inOrder: true });
  const { client_left_ms } = await set.upstreams[0].aborted();
  assert.ok(client_left_ms - left < CLOSED_WITHIN_MS, ms(client_left_ms - left));
});

test("a client that leaves the queue frees its place and is never sent", async (t) => {
  const set = await stage(t, { servers: [{ max_concurrency: 1, queue_depth: 1 }] });
  await set.upstreams[0].script({ times: 1, behaviour: { do: "pace", chunks: 2, interval_ms: 3000 } });
  const first = set.open();
  await set.upstreams[0].arrived();
  const second = set.open();
  await set.untilServer(0, (server) => server.queue.waiting === 1, "one waiting");
  second.leave();
  await set.untilServer(0, (server) => server.queue.waiting === 0, "nobody waiting");
  first.leave();
  await set.untilServer(0, (server) => server.queue.running === 0, "a free slot");
  assert.equal((await set.upstreams[0].posts()).length, 1);
});

test("the loser of a race is closed and its slot freed", async (t) => {
  const set = await stage(t, { servers: [{ priority: 1 }, { priority: 0 }], policy: { hedge: true, hedge_min_ms: 100, hedge_initial_ms: 200 } });
  await set.upstreams[0].behave("hang");
  const reply = await set.ask();
  answered(reply);
  assert.equal(reply.headers["x-gateway-server-id"], set.servers[1]);
  await set.upstreams[0].aborted();
  for (const n of [0, 1]) await set.untilServer(n, (server) => server.queue.running === 0, "a free slot");
});

test("an aborted stream is counted by what was sent, within one chunk", async (t) => {
  const set = await stage(t);
  await set.upstreams[0].behave("pace", { chunks: 1000, interval_ms: 15 });
  const running = set.open({ stream: true });
  await running.until((exchange) => exchange.text.includes("w24"));
  running.leave();
  await set.upstreams[0].aborted();
  const seen = (running.text.match(/"content":"w\d+ /g) ?? []).length;
  const { totals } = await set.untilServer(0, (server) => server.totals.requests === 1, "the usage");
  const off = Math.abs(totals.completion_tokens - seen);
  figure(10, `off by ${off} of ${seen}`);
  // One chunk may be on its way between the two when the client goes.
  assert.ok(off <= 1, `${totals.completion_tokens} counted, ${seen} seen`);
  assert.ok(totals.prompt_tokens > 0);
});

test("usage that stands beside non-empty choices is counted", async (t) => {
  const set = await stage(t);
  await set.upstreams[0].behave("usage_with_finish");
  await set.stream();
  const { totals } = await set.untilServer(0, (server) => server.totals.requests === 1, "the usage");
  assert.deepEqual([totals.completion_tokens, totals.prompt_tokens, totals.successes], [9, 2, 1]);
  figure(10, "counted");
});

test("usage of plain answers and of hidden usage chunks is counted", async (t) => {
  const set = await stage(t);
  answered(await set.ask());
  await set.stream();
  const { totals } = await set.untilServer(0, (server) => server.totals.requests === 2, "the usage");
  assert.deepEqual([totals.completion_tokens, totals.prompt_tokens, totals.successes], [18, 4, 2]);
});
