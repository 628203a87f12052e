// Strangers and repetitions: web pages, callers without a key, changes that are sent again, odd heads.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { test } from "node:test";
import OpenAI from "openai";
import { Gateway } from "./harness/gateway.mjs";
import { exchange } from "./harness/http.mjs";
import { MODEL, Stage, answered, eventually, refused, stage } from "./harness/stage.mjs";
import { Upstream } from "./harness/upstream.mjs";

const PAGE = "https://app.example.com";
const CHAT = "/v1/chat/completions";
const SDK_HEADERS = "authorization,content-type,x-stainless-lang,x-stainless-os,openai-organization,idempotency-key,traceparent";

const preflight = (gateway, path, origin) =>
  exchange(gateway.url, { method: "OPTIONS", path, headers: { origin, "access-control-request-method": "POST", "access-control-request-headers": SDK_HEADERS } });

test("a page that is listed may call, stream and read errors; others may not; /admin takes no part", async (t) => {
  const gateway = await Gateway.start(t, { CORS_ORIGINS: `${PAGE},http://localhost:5173` });
  const set = await stage(t, { gateway });
  const asked = await preflight(gateway, CHAT, PAGE);
  assert.equal(asked.status, 204);
  assert.equal(asked.headers["access-control-allow-origin"], PAGE);
  assert.equal(asked.headers["access-control-allow-headers"], SDK_HEADERS);
  assert.match(asked.headers["access-control-allow-methods"], /POST/);
  assert.equal(asked.headers["access-control-allow-credentials"], undefined);
  const headers = { origin: PAGE };
  const plain = await set.ask({}, { headers });
  answered(plain);
  const stream = await set.stream({}, { headers });
  assert.match(stream.text, /\[DONE\]/);
  const wrong = await set.ask({}, { headers, key: "tg_wrong" });
  refused(wrong, 401);
  for (const reply of [plain, stream, wrong]) {
    assert.equal(reply.headers["access-control-allow-origin"], PAGE);
    assert.match(reply.headers["access-control-expose-headers"], /x-request-id/);
    assert.match(reply.headers.vary, /Origin/);
  }
  for (const origin of ["https://evil.example", "null"]) {
    const other = await preflight(gateway, CHAT, origin);
    refused(other, 403);
    assert.equal(other.headers["access-control-allow-origin"], undefined);
  }
  const admin = await preflight(gateway, "/admin/keys", PAGE);
  assert.ok(admin.status >= 400);
  assert.equal(admin.headers["access-control-allow-origin"], undefined);
});

test("unless it is configured nothing speaks of other origins", async (t) => {
  const shared = Gateway.shared();
  refused(await preflight(shared, CHAT, PAGE), 405);
  const set = await stage(t);
  const reply = await set.ask({}, { headers: { origin: PAGE } });
  answered(reply);
  assert.deepEqual(Object.keys(reply.headers).filter((name) => name.startsWith("access-control-")), []);
});

test("fifty at once under one key make one API key, and whoever repeats it hears the same bytes", async (t) => {
  const set = await stage(t);
  const body = { name: "once" };
  const key = { "idempotency-key": randomUUID() };
  const before = (await set.demand(200, "GET", "keys")).data.length;
  const replies = await Promise.all(Array.from({ length: 50 }, () => set.admin("POST", "keys", body, key)));
  const made = replies.filter((reply) => reply.status === 201);
  assert.ok(made.length >= 1);
  assert.equal(made.filter((reply) => reply.headers["idempotency-replayed"] === undefined).length, 1, "one was carried out");
  assert.equal(new Set(made.map((reply) => reply.text)).size, 1, "all of them the same bytes");
  for (const reply of replies.filter((reply) => reply.status !== 201)) {
    refused(reply, 409, "idempotency_in_progress");
    assert.equal(reply.headers["retry-after"], "1");
    assert.equal(reply.headers["x-should-retry"], "true");
  }
  const again = await set.admin("POST", "keys", body, key);
  assert.equal(again.headers["idempotency-replayed"], "true");
  assert.equal(again.text, made[0].text);
  assert.equal((await set.demand(200, "GET", "keys")).data.length, before + 1);
  answered(await set.ask({}, { key: again.json.key }));
  refused(await set.admin("POST", "keys", { name: "other" }, key), 422, "idempotency_key_reused");
  for (const odd of ["", "x".repeat(256), "a,b"]) refused(await set.admin("POST", "keys", body, { "idempotency-key": odd }), 400, "invalid_value");
  refused(await set.admin("POST", "keys", body, { "idempotency-key": ["one", "two"] }), 400, "invalid_value");
});

test("kill -9 in the middle of a registration, and its repetition registers one server", async (t) => {
  const gateway = await Gateway.start(t);
  const set = await stage(t, { gateway, servers: 0 });
  const upstream = await Upstream.start();
  set.upstreams.push(upstream);
  const key = { "idempotency-key": randomUUID() };
  const body = { model_name: MODEL, endpoint_url: upstream.url };
  const send = () => set.admin("POST", "register", body, key);
  for (const moment of [0, 5, 20, 60]) {
    const cut = send();
    await new Promise((resolve) => setTimeout(resolve, moment));
    await gateway.kill();
    await cut;
    await gateway.restart();
  }
  // A dead asker is waited for 45 s at most.
  const made = await eventually(send, (reply) => reply.status !== 409, { within: 60_000, what: "the end of the lease" });
  assert.equal(made.status, 201, made.text);
  const again = await send();
  assert.equal(again.text, made.text);
  assert.equal(again.headers["idempotency-replayed"], "true");
  const { data } = await set.demand(200, "GET", "servers");
  assert.deepEqual(data.map(({ id }) => id), [made.json.registration_id]);
});

test("without a key: nobody, until a model is opened; then sixty a minute, whatever address is claimed", async (t) => {
  const gateway = await Gateway.start(t, { CLIENT_ADDRESS_HEADER: "x-real-ip" });
  const set = new Stage(gateway, "default");
  t.after(() => set.close());
  const upstream = await Upstream.start();
  set.upstreams.push(upstream);
  set.servers.push(await set.register(upstream, { max_concurrency: 64 }));
  set.key = (await set.mint()).key;
  const ask = (address, more = {}) =>
    exchange(gateway.url, {
      path: CHAT,
      headers: { "content-type": "application/json", ...(address ? { "x-real-ip": address } : {}), ...more },
      body: JSON.stringify({ model: MODEL, messages: [{ role: "user", content: "hello" }] }),
    });
  refused(await ask("192.0.2.1"), 401, "invalid_api_key");
  await set.demand(200, "PUT", "policies/anonymous", { enabled: true, models: [MODEL] });
  await eventually(() => ask("198.51.100.1"), (reply) => reply.status === 200, { what: "the open door" });
  const replies = await Promise.all(Array.from({ length: 80 }, (_, n) => ask("192.0.2.1", { "x-forwarded-for": `203.0.113.${n}`, "cf-connecting-ip": `203.0.113.${n}` })));
  const count = (status) => replies.filter((reply) => reply.status === status).length;
  assert.deepEqual([count(200), count(429)], [60, 20]);
  const over = replies.find((reply) => reply.status === 429);
  assert.match(refused(over, 429, "rate_limit_exceeded").message, /This address/);
  assert.ok(Number(over.headers["retry-after"]) >= 1);
  assert.match(over.headers.ratelimit, /"requests";r=0;t=\d+/);
  assert.equal(over.headers["ratelimit-policy"], '"requests";q=60;w=60');
  answered(await ask("192.0.2.2"));
  refused(await ask("192.0.2.2", { authorization: "Bearer tg_wrong" }), 401, "invalid_api_key");
  answered(await set.ask());
  // The same address in an IPv6 coat is the same address.
  refused(await ask("::ffff:192.0.2.1"), 429);
  await set.demand(200, "PUT", "policies/anonymous", {});
  await eventually(() => ask("192.0.2.3"), (reply) => reply.status === 401, { what: "the closed door" });
});

test("heads beyond their limits and compressed bodies are refused in words", async (t) => {
  const set = await stage(t);
  refused(await set.ask({}, { headers: { cookie: "x".repeat(40_000) } }), 431, "headers_too_large");
  refused(await set.ask({}, { headers: { "content-encoding": "gzip" } }), 415, "unsupported_encoding");
  refused(await set.ask(undefined, { method: "GET", path: `/v1/models?${"q".repeat(9_000)}` }), 414, "uri_too_long");
  refused(await exchange(set.gateway.url, { path: CHAT, headers: { "content-length": String(11 * 1024 * 1024) }, body: Buffer.alloc(11 * 1024 * 1024, 32) }), 413, "request_too_large");
  assert.equal((await set.upstreams[0].posts()).length, 0);
});

test("an SDK tries again when it is told to, and not when it is told not to", async (t) => {
  const set = await stage(t, { policy: { max_retries: 1 }, key: { requests_per_minute: 1, tokens_per_minute: 1000 } });
  const client = (fields) => new OpenAI({ baseURL: `${set.gateway.url}/v1`, apiKey: set.key, maxRetries: 2, ...fields });
  const ask = (sdk, more = {}) => sdk.chat.completions.create({ model: MODEL, messages: [{ role: "user", content: "hello" }], ...more });
  // More than the whole limit: one request, no repetition.
  let sent = 0;
  const counting = client({ fetch: (...args) => ((sent += 1), fetch(...args)) });
  await assert.rejects(ask(counting, { max_tokens: 5000 }), (error) => error.status === 429);
  assert.equal(sent, 1, "a request that never fits is not repeated");
  // All attempts of the gateway are used up: the SDK adds none.
  const open = await set.mint();
  await set.upstreams[0].behave("status", { status: 500 });
  sent = 0;
  const other = client({ apiKey: open.key, fetch: (...args) => ((sent += 1), fetch(...args)) });
  await assert.rejects(ask(other), (error) => error.status >= 500);
  assert.equal(sent, 1, "the gateway has tried for it");
});
