// Keys: what they may do, how often, and for how long.
import assert from "node:assert/strict";
import http from "node:http";
import { test } from "node:test";
import { figure } from "./harness/figures.mjs";
import { answered, eventually, refused, stage } from "./harness/stage.mjs";

test("a limit of requests a minute is exact under 50 requests at once over two pools", async (t) => {
  const set = await stage(t, { servers: [{ max_concurrency: 64 }], key: { requests_per_minute: 20 } });
  const pools = [0, 1].map(() => new http.Agent({ keepAlive: true, maxSockets: 25 }));
  t.after(() => pools.forEach((pool) => pool.destroy()));
  const replies = await Promise.all(Array.from({ length: 50 }, (_, n) => set.ask({}, { agent: pools[n % 2] })));
  const good = replies.filter((reply) => reply.status === 200);
  const over = replies.filter((reply) => reply.status === 429);
  figure(11, `${good.length}`);
  assert.deepEqual([good.length, over.length], [20, 30]);
  assert.equal((await set.upstreams[0].posts()).length, 20);
  for (const reply of over) {
    const error = refused(reply, 429, "rate_limit_exceeded");
    assert.equal(error.type, "rate_limit_error");
    const wait = Number(reply.headers["retry-after"]);
    assert.ok(wait >= 1 && wait <= 60, `${wait}`);
    assert.equal(reply.headers["x-ratelimit-limit-requests"], "20");
    assert.equal(reply.headers["x-ratelimit-remaining-requests"], "0");
    assert.ok(reply.headers["x-ratelimit-reset-requests"]);
  }
  const left = good.map((reply) => Number(reply.headers["x-ratelimit-remaining-requests"])).sort((a, b) => a - b);
  assert.deepEqual(left, Array.from({ length: 20 }, (_, n) => n), "each was told another remainder");
});

test("a limit on requests at once is exact, and a request that ends gives its place back", async (t) => {
  const set = await stage(t, { servers: [{ max_concurrency: 64 }], key: { concurrency: 3 } });
  await set.upstreams[0].behave("pace", { chunks: 2, interval_ms: 1000 });
  const replies = await Promise.all(Array.from({ length: 10 }, () => set.ask()));
  assert.deepEqual([200, 429].map((status) => replies.filter((reply) => reply.status === status).length), [3, 7]);
  await set.upstreams[0].heal();
  await eventually(() => set.ask(), (reply) => reply.status === 200, { what: "the place to be free" });
});

test("tokens a minute are reserved before and settled after", async (t) => {
  const set = await stage(t, { key: { tokens_per_minute: 100 } });
  const error = refused(await set.ask({ max_tokens: 500 }), 429, "rate_limit_exceeded");
  assert.match(error.message, /tokens/);
  const first = await set.ask({ max_tokens: 60 });
  answered(first);
  assert.equal(first.headers["x-ratelimit-limit-tokens"], "100");
  // Sixty were reserved and eleven used: the rest comes back when the request is settled.
  await eventually(() => set.ask({ max_tokens: 60 }), (reply) => reply.status === 200, { what: "the reservation to be settled" });
  assert.equal((await set.upstreams[0].posts()).length, 2);
});

test("one key's limit is not another's", async (t) => {
  const set = await stage(t, { key: { requests_per_minute: 1 } });
  answered(await set.ask());
  refused(await set.ask(), 429);
  answered(await set.ask({}, { key: (await set.mint()).key }));
});

test("a key sees and uses only the models it is allowed", async (t) => {
  const set = await stage(t, { key: { models: ["other"] } });
  const error = refused(await set.ask(), 404, "model_not_found");
  assert.equal(error.param, "model");
  const list = await set.ask(undefined, { method: "GET", path: "/v1/models" });
  assert.deepEqual(list.json.data, []);
  assert.equal((await set.upstreams[0].posts()).length, 0);
});

test("scopes: an inference key administers nothing, a reading key infers nothing, an admin key does both", async (t) => {
  const set = await stage(t);
  const admin = (key, method, path, body) => set.gateway.admin("default", method, path, body, { "x-api-key": key });
  refused(await admin(set.key, "GET", "servers"), 403, "insufficient_permissions");
  const reading = (await set.mint({ scopes: ["read"] })).key;
  assert.equal((await admin(reading, "GET", "servers")).json.total, 1, "its own organisation's, whatever the header says");
  refused(await admin(reading, "POST", "keys", { name: "x" }), 403, "insufficient_permissions");
  refused(await set.ask({}, { key: reading }), 403, "insufficient_permissions");
  const all = (await set.mint({ scopes: ["admin"] })).key;
  assert.equal((await admin(all, "POST", "keys", { name: "x" })).status, 201);
  answered(await set.ask({}, { key: all }));
  for (const wrong of ["", "tg_wrong", "an-admin-key-for-tests-only-00000"]) refused(await admin(wrong, "GET", "servers"), 403);
});

test("an organisation sees nothing of another, whatever ids it names", async (t) => {
  const [mine, theirs] = [await stage(t), await stage(t)];
  for (const [method, path] of [["GET", "servers/"], ["DELETE", "register/"], ["POST", "servers/"]]) {
    const action = method === "POST" ? "/drain" : "";
    refused(await mine.admin(method, `${path}${theirs.servers[0]}${action}`), 404);
  }
  const keys = await theirs.demand(200, "GET", "keys");
  refused(await mine.admin("DELETE", `keys/${keys.data[0].id}`), 404);
  answered(await theirs.ask());
});

test("a key expires by itself", async (t) => {
  const set = await stage(t);
  const { key } = await set.mint({ expires_in_seconds: 1 });
  answered(await set.ask({}, { key }));
  await eventually(() => set.ask({}, { key }), (reply) => reply.status === 401, { what: "the end of the key" });
});

test("a revoked key is refused at once", async (t) => {
  const set = await stage(t);
  const { key, id } = await set.mint();
  answered(await set.ask({}, { key }));
  await set.demand(200, "DELETE", `keys/${id}`);
  refused(await set.ask({}, { key }), 401, "invalid_api_key");
});

test("rotation: both secrets are good for the overlap, then only the new one", async (t) => {
  const set = await stage(t);
  const { key, id } = await set.mint();
  const rotated = await set.demand(200, "POST", `keys/${id}/rotate`, { overlap_seconds: 2 });
  assert.notEqual(rotated.key, key);
  answered(await set.ask({}, { key }));
  answered(await set.ask({}, { key: rotated.key }));
  await eventually(() => set.ask({}, { key }), (reply) => reply.status === 401, { what: "the end of the overlap" });
  answered(await set.ask({}, { key: rotated.key }));
  const again = await set.demand(200, "POST", `keys/${id}/rotate`, { overlap_seconds: 0 });
  refused(await set.ask({}, { key: rotated.key }), 401);
  answered(await set.ask({}, { key: again.key }));
});

test("a key is shown once, and its list holds no secret", async (t) => {
  const set = await stage(t);
  const { key } = await set.mint();
  const list = await set.admin("GET", "keys");
  assert.equal(list.json.data.length, 2);
  assert.ok(!list.text.includes(key) && !/[0-9a-f]{64}/.test(list.text), "neither the key nor its hash");
});

for (const [what, key] of [["no key", ""], ["rubbish", "sk-123"], ["a forged key", `tg_${"A".repeat(100)}`]]) {
  test(`${what} is 401, on every inference route`, async (t) => {
    const set = await stage(t);
    for (const path of ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"]) refused(await set.ask({}, { key, path }), 401, "invalid_api_key");
    refused(await set.ask(undefined, { key, method: "GET", path: "/v1/models" }), 401, "invalid_api_key");
    const tampered = `${set.key.slice(0, -1)}${set.key.endsWith("a") ? "b" : "a"}`;
    refused(await set.ask({}, { key: tampered }), 401, "invalid_api_key");
  });
}
