// The breaker, the pauses and the choice between servers, seen from outside.
import assert from "node:assert/strict";
import { test } from "node:test";
import { figure, ms, percentile } from "./harness/figures.mjs";
import { answered, eventually, refused, stage } from "./harness/stage.mjs";

const ONE_TRY = { max_retries: 0, hedge: false };

test("exactly five failures in a row eject, and why, since when and until when can be asked", async (t) => {
  const set = await stage(t, { policy: ONE_TRY });
  const [upstream] = set.upstreams;
  await upstream.behave("status", { status: 500 });
  for (let n = 0; n < 4; n += 1) refused(await set.ask(), 500);
  await upstream.heal();
  answered(await set.ask());
  await upstream.behave("status", { status: 500 });
  for (let n = 1; n <= 5; n += 1) {
    refused(await set.ask(), 500);
    const { breaker } = await set.untilServer(0, (server) => server.breaker.consecutive_failures === n || server.breaker.state === "ejected", `${n} failures counted`);
    assert.equal(breaker.state, n < 5 ? "admitting" : "ejected", `after ${n}`);
  }
  const out = await set.server();
  assert.equal(out.in_service, false);
  assert.match(out.out_of_service.reason, /ejected after 5 failures/);
  const [since, until] = [Date.parse(out.out_of_service.since_at), Date.parse(out.out_of_service.until_at)];
  // Thirty seconds, and up to a tenth of jitter.
  assert.ok(until - since >= 30_000 && until - since <= 33_000, `${until - since} ms`);
  const listed = await eventually(() => set.demand(200, "GET", "servers?state=ejected"), (list) => list.total === 1, { what: "the registry to know" });
  assert.match(listed.data[0].status_reason, /ejected/);
  assert.ok(listed.data[0].status_until_at);
  figure(13, "ejects at the 5th");
  figure(14, `"${out.out_of_service.reason}", since, until`);
});

test("4xx of any kind counts as a success, twenty times over", async (t) => {
  const set = await stage(t, { policy: ONE_TRY });
  for (const status of [400, 404, 413, 422]) {
    await set.upstreams[0].behave("status", { status });
    for (let n = 0; n < 5; n += 1) refused(await set.ask(), status);
  }
  const { breaker, in_service } = await set.server();
  assert.deepEqual([breaker.state, breaker.consecutive_failures, in_service], ["admitting", 0, true]);
  figure(13, "20 × 4xx admits");
});

test("llama.cpp's 500 for a prompt that is too long is the client's fault", async (t) => {
  const set = await stage(t, { policy: ONE_TRY });
  const body = { error: { code: 500, message: "input (9000 tokens) is too large to process. increase the physical batch size", type: "server_error" } };
  await set.upstreams[0].behave("status", { status: 500, body });
  for (let n = 0; n < 6; n += 1) refused(await set.ask(), 400, "context_length_exceeded");
  assert.equal((await set.server()).breaker.state, "admitting");
});

for (const [status, retryAfter, least, most] of [[429, "7", 6000, 7500], [503, "7", 6000, 7500], [429, "0", 200, 2500], [429, "-5", 200, 2500], [429, "soon", 200, 2500], [429, "Fri, 01 Jan 2099 00:00:00 GMT", 200, 301_000], [429, "999999999", 295_000, 301_000], [503, undefined, 200, 2500]]) {
  test(`${status} with Retry-After ${retryAfter} is a pause and no failure`, async (t) => {
    const set = await stage(t, { policy: ONE_TRY });
    await set.upstreams[0].behave("status", { status, headers: retryAfter === undefined ? [] : [["Retry-After", retryAfter]] });
    const reply = await set.ask();
    refused(reply, status);
    assert.ok(Number(reply.headers["retry-after"]) >= 1);
    const { breaker, out_of_service } = await set.untilServer(0, (server) => server.out_of_service !== null, "the pause");
    assert.deepEqual([breaker.state, breaker.consecutive_failures], ["admitting", 0]);
    const pause = Date.parse(out_of_service.until_at) - Date.parse(out_of_service.since_at);
    assert.ok(pause >= least && pause <= most, `${pause} ms`);
    const again = await set.ask();
    refused(again, 429, "servers_busy");
    assert.ok(Number(again.headers["retry-after"]) >= 1);
    assert.equal((await set.upstreams[0].posts()).length, 1, "it is left alone");
    if (retryAfter === "7" && status === 429) figure(13, "429 pauses");
  });
}

test("a server that asks for a pause gets it: 60 of 60 answered, at most two calls to it", async (t) => {
  const set = await stage(t, { servers: 2 });
  const round = async () => {
    const times = [];
    let good = 0;
    for (let n = 0; n < 60; n += 1) {
      const reply = await set.ask();
      good += reply.status === 200 ? 1 : 0;
      times.push(reply.tookMs);
    }
    return { good, p95: percentile(times, 95) };
  };
  const before = await round();
  const already = (await set.upstreams[0].posts()).length;
  await set.upstreams[0].behave("status", { status: 429, headers: [["Retry-After", "30"]] });
  const during = await round();
  const calls = (await set.upstreams[0].posts()).length - already;
  figure(4, `${during.good} · ${calls} · ${ms(Math.max(0, during.p95 - before.p95))}`);
  assert.equal(during.good, 60);
  assert.ok(calls <= 2, `${calls} calls`);
  assert.ok(during.p95 - before.p95 < 20 + 20, `${before.p95} → ${during.p95}`);
});

test("a server that fails at once does not look idle and attract traffic", async (t) => {
  const set = await stage(t, { servers: 2 });
  await set.upstreams[0].behave("status", { status: 500 });
  await set.upstreams[1].behave("pace", { chunks: 2, interval_ms: 60 });
  let good = 0;
  let sent = 0;
  const lane = async () => {
    while (sent < 100) {
      sent += 1;
      const reply = await set.ask();
      good += reply.status === 200 ? 1 : 0;
    }
  };
  await Promise.all(Array.from({ length: 8 }, lane));
  const bad = (await set.upstreams[0].posts()).length;
  figure(12, `${good} · ${bad} %`);
  assert.equal(good, 100);
  // Five in a row eject it; up to eight were under way when they did.
  assert.ok(bad < 25, `${bad} of 100 went to it`);
});

test("with its breaker a server that fails at once costs nobody an answer", async (t) => {
  const set = await stage(t, { servers: 2 });
  await set.upstreams[0].behave("status", { status: 500 });
  let good = 0;
  for (let n = 0; n < 100; n += 1) good += (await set.ask()).status === 200 ? 1 : 0;
  assert.equal(good, 100);
  assert.ok((await set.upstreams[0].posts()).length <= 6);
});

test("an ejected server gets one probe when its time is over, and is back with its success", async (t) => {
  const set = await stage(t, { servers: [{ priority: 1 }, { priority: 0 }], policy: { ejection_base_ms: 1000, ejection_cap_ms: 1000, hedge: false } });
  const [broken] = set.upstreams;
  await broken.behave("status", { status: 500 });
  await eventually(async () => (await set.ask(), (await set.server(0)).breaker.state), (state) => state === "ejected", { what: "the ejection" });
  const before = (await broken.posts()).length;
  await broken.behave("pace", { chunks: 2, interval_ms: 600 });
  // All at once, again and again, while the time runs out: only one of them may be the probe.
  const results = [];
  const state = async () => (await set.server(0)).breaker.state;
  await eventually(
    async () => {
      results.push(...(await Promise.all(Array.from({ length: 10 }, () => set.ask()))));
      return state();
    },
    (seen) => seen === "admitting",
    { what: "the server to be back", within: 15_000 },
  );
  assert.ok(results.every((reply) => reply.status === 200));
  const [probe, ...others] = (await broken.posts()).slice(before);
  assert.ok(others.every((entry) => entry.at_ms >= probe.ended_ms), "nobody else while the probe was out");
});

test("when every server is ejected at most one request a second is let through to each", async (t) => {
  const set = await stage(t, { policy: { ...ONE_TRY, eject_after_consecutive_failures: 1 } });
  await set.upstreams[0].behave("status", { status: 500 });
  refused(await set.ask(), 500);
  const before = (await set.upstreams[0].posts()).length;
  const began = Date.now();
  let denied = 0;
  while (Date.now() - began < 2500) denied += (await set.ask()).status === 503 ? 1 : 0;
  const tries = (await set.upstreams[0].posts()).length - before;
  assert.ok(denied > 10, `${denied} refused`);
  assert.ok(tries >= 1 && tries <= 3, `${tries} in 2.5 s`);
});

test("slots and queue are bounded, and full says when to come back", async (t) => {
  const set = await stage(t, { servers: [{ max_concurrency: 2, queue_depth: 1 }], policy: { ...ONE_TRY, queue_timeout_ms: 20_000, model_wait_ms: 0, max_waiting_per_model: 0 } });
  await set.upstreams[0].behave("pace", { chunks: 2, interval_ms: 1500 });
  const running = [set.open(), set.open()];
  await set.upstreams[0].arrived(2);
  const waiting = set.open();
  await set.untilServer(0, (server) => server.queue.waiting === 1 && server.queue.running === 2, "two running, one waiting");
  const full = await set.ask();
  refused(full, 429, "servers_busy");
  assert.ok(Number(full.headers["retry-after"]) >= 1);
  for (const reply of await Promise.all([...running, waiting].map((one) => one.finished))) assert.equal(reply.status, 200, reply.text);
});
