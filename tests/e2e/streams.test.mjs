// Streams: what passes untouched, and how one ends when its server does not end it well.
import assert from "node:assert/strict";
import { test } from "node:test";
import { figure, ms } from "./harness/figures.mjs";
import { events, told } from "./harness/http.mjs";
import { ANSWER, NO_BREAKER, answered, assertEnvelope, stage } from "./harness/stage.mjs";

const SHORT = { ...NO_BREAKER, first_token_timeout_ms: 3000, idle_timeout_ms: 1500, total_timeout_ms: 20_000, hedge: false };

test("without include_usage the client sees no usage, and the upstream is asked for it", async (t) => {
  const set = await stage(t);
  const said = told((await set.stream()).text);
  assert.deepEqual([said.text, said.finish, said.done, said.usage], [ANSWER, "stop", true, undefined]);
  assert.ok(said.payloads.every((payload) => payload === "[DONE]" || payload.choices.length > 0), "no chunk without choices");
  const sent = JSON.parse((await set.upstreams[0].arrived()).body);
  assert.deepEqual(sent.stream_options, { include_usage: true });
});

test("with include_usage the client sees it once", async (t) => {
  const set = await stage(t);
  const said = told((await set.stream({ stream_options: { include_usage: true } })).text);
  assert.equal(said.usage.completion_tokens, 9);
  assert.equal(said.payloads.filter((payload) => payload.usage).length, 1);
  assert.equal(said.done, true);
});

test("a stream that has begun and is cut ends with an error event, without [DONE], and is never sent again", async (t) => {
  const set = await stage(t, { servers: 2 });
  const seen = new Set();
  for (const how of ["fin", "reset"]) {
    for (const half_frame of [false, true]) {
      for (const upstream of set.upstreams) await upstream.behave("cut", { after_chunks: 5, how, half_frame });
      const before = (await Promise.all(set.upstreams.map((upstream) => upstream.posts()))).flat().length;
      const reply = await set.stream();
      assert.equal(reply.end, "complete", "the connection ends in order");
      assert.equal(reply.status, 200);
      const said = told(reply.text);
      assert.equal(said.text, "w0 w1 w2 w3 w4 ", `${how} ${half_frame}: what had come, each once`);
      assertEnvelope(said.error, reply.text);
      assert.deepEqual([said.done, said.finish], [false, undefined]);
      assert.equal(events(reply.text).at(-1).error.code, said.error.code, "the error is the last event");
      seen.add(said.error.code);
      const after = (await Promise.all(set.upstreams.map((upstream) => upstream.posts()))).flat().length;
      assert.equal(after - before, 1, "exactly one call");
    }
  }
  figure(6, `error event (${[...seen].join(", ")}), no [DONE], no finish_reason; 1 call`);
});

test("silence in the middle ends the stream at the idle deadline and closes the upstream", async (t) => {
  const set = await stage(t, { policy: SHORT });
  await set.upstreams[0].behave("cut", { after_chunks: 3, how: "silence" });
  const reply = await set.stream();
  const said = told(reply.text);
  assert.deepEqual([said.text, said.error?.code, said.done], ["w0 w1 w2 ", "upstream_stalled", false]);
  const { client_left_ms } = await set.upstreams[0].aborted();
  assert.ok(client_left_ms - reply.endedAt < 1000, `${ms(client_left_ms - reply.endedAt)} after the error`);
  assert.ok(reply.tookMs < SHORT.idle_timeout_ms + 1500, `${reply.tookMs} ms`);
  const { leases, queue } = await set.untilServer(0, (server) => server.queue.running === 0, "a free slot");
  assert.deepEqual([leases.length, queue.running], [0, 0]);
});

test("tokens that come slowly but come are not a stall", async (t) => {
  const set = await stage(t, { policy: SHORT });
  await set.upstreams[0].behave("pace", { chunks: 8, interval_ms: 400 });
  const said = told((await set.stream()).text);
  assert.deepEqual([said.done, said.error, said.text.split(" ").length], [true, undefined, 9]);
});

test("a token reaches the client when it comes, not when the next one does", async (t) => {
  const set = await stage(t);
  await set.upstreams[0].behave("pace", { chunks: 3, interval_ms: 5000 });
  const running = set.open({ stream: true });
  await running.until((exchange) => exchange.text.includes("w0"));
  assert.ok(running.chunks[0].at - running.startedAt < 2500);
  running.leave();
  await running.finished;
});

test("unknown fields reach the upstream byte for byte", async (t) => {
  const set = await stage(t);
  const odd = '{ "model" :"tiny",\t"messages":[{"role":"user","content":"\\u00e9\\ud83d\\ude00 \\/ ok","x-odd":1.50e-07}],"logit_bias":{"50256":-1.50},\n"big":12345678901234567890123,"zażółć":{"nested":[true,null,{"a":{}}]},"seed":1E3 }';
  answered(await set.ask(odd));
  assert.equal((await set.upstreams[0].arrived(1)).body, odd, "a plain request is not touched at all");
  await set.ask(odd.replace(/ }$/, ',"stream":true }'));
  const streamed = (await set.upstreams[0].arrived(2)).body;
  assert.equal(streamed.replace(',"stream_options":{"include_usage":true}', ""), odd.replace(/ }$/, ',"stream":true }'));
  figure(9, "byte-identical (streams: stream_options inserted)");
});

test("request and response headers pass as they should", async (t) => {
  const set = await stage(t);
  await set.upstreams[0].script({ extra_headers: [["x-engine", "seven"], ["set-cookie", "a=b"], ["connection", "x-hop"], ["x-hop", "1"]], behaviour: { do: "good" } });
  const reply = await set.ask({}, { headers: { "x-custom": "yes", traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", cookie: "secret=1", "x-api-key": "not-yours" } });
  answered(reply);
  assert.equal(reply.headers["x-gateway-server-id"], set.servers[0]);
  assert.match(reply.headers["x-request-id"], /^req_/);
  const sent = Object.fromEntries((await set.upstreams[0].arrived()).headers);
  assert.equal(sent["x-request-id"], reply.headers["x-request-id"], "both sides can be matched");
  assert.equal(sent.traceparent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
  assert.equal(sent.authorization, undefined, "the client's key stays here");
  assert.equal(sent.cookie, undefined);
  assert.ok(!JSON.stringify(sent).includes(set.key));
  assert.equal(reply.headers["set-cookie"], undefined);
  assert.equal(reply.headers["x-hop"], undefined);
});

test("the upstream's own key is sent, stored sealed and never shown", async (t) => {
  const set = await stage(t, { servers: [{ api_key: "upstream-secret-1" }], upstream: ["--api-key", "upstream-secret-1"] });
  answered(await set.ask());
  assert.equal(Object.fromEntries((await set.upstreams[0].arrived()).headers).authorization, "Bearer upstream-secret-1");
  const shown = await set.server();
  assert.equal(shown.has_api_key, true);
  assert.ok(!JSON.stringify(shown).includes("upstream-secret"));
});

test("a redirect is neither followed nor passed on", async (t) => {
  const set = await stage(t, { policy: NO_BREAKER });
  const other = set.upstreams[0].url.replace("127.0.0.1", "localhost");
  for (const status of [301, 302, 303, 307, 308]) {
    await set.upstreams[0].behave("redirect", { status, location: `${other}/v1/completions` });
    for (const stream of [false, true]) {
      const reply = await set.ask({ stream });
      assert.equal(reply.status, 502, `${status}: ${reply.text}`);
      assertEnvelope(reply.json.error);
      assert.equal(reply.headers.location, undefined);
      assert.equal(reply.json.error.code, "upstream_redirected");
    }
  }
  assert.ok((await set.upstreams[0].posts()).every((entry) => entry.path === "/v1/chat/completions"));
});

test("200 streams at once all complete, each with its own text", async (t) => {
  const set = await stage(t, { servers: [{ max_concurrency: 256, queue_depth: 256 }] });
  await set.upstreams[0].behave("pace", { chunks: 20, interval_ms: 25 });
  const replies = await Promise.all(Array.from({ length: 200 }, () => set.stream()));
  const whole = Array.from({ length: 20 }, (_, n) => `w${n} `).join("");
  const good = replies.filter((reply) => reply.end === "complete" && reply.status === 200 && told(reply.text).text === whole && told(reply.text).done);
  const bad = replies.find((reply) => !good.includes(reply));
  assert.equal(good.length, 200, `${bad?.end} ${bad?.status} ${bad?.text.slice(-300)}`);
  await set.untilServer(0, (server) => server.queue.running === 0 && server.leases.length === 0, "every slot free");
});

test("200 streams at once through 8 slots wait in line and all complete", async (t) => {
  const set = await stage(t, { servers: [{ max_concurrency: 8, queue_depth: 256 }], policy: { queue_timeout_ms: 30_000 } });
  await set.upstreams[0].behave("pace", { chunks: 5, interval_ms: 10 });
  const replies = await Promise.all(Array.from({ length: 200 }, () => set.stream()));
  const statuses = replies.filter((reply) => reply.status !== 200).map((reply) => `${reply.end} ${reply.status} ${reply.text.slice(0, 200)}`);
  assert.deepEqual(statuses, []);
  const posts = await set.upstreams[0].posts();
  const most = Math.max(...posts.map((one) => posts.filter((other) => other.at_ms <= one.at_ms && (other.ended_ms ?? Infinity) > one.at_ms).length));
  assert.ok(most <= 8, `${most} ran at once`);
});
