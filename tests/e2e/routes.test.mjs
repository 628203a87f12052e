// Names: models, aliases, projects, fallbacks, strategies; and the life of a registration.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ANSWER, answered, eventually, refused, stage } from "./harness/stage.mjs";
import { told } from "./harness/http.mjs";

const calls = async (set) => Promise.all(set.upstreams.map(async (upstream) => (await upstream.posts()).length));

test("models are listed with how many servers are healthy, by name and one by one", async (t) => {
  const set = await stage(t, { servers: 2 });
  const list = await set.ask(undefined, { method: "GET", path: "/v1/models" });
  assert.equal(list.json.object, "list");
  const [model] = list.json.data;
  assert.deepEqual([list.json.data.length, model.id, model.object, typeof model.created, model.tidegate], [1, "tiny", "model", "number", { servers: 2, healthy_servers: 2 }]);
  await set.demand(200, "POST", `servers/${set.servers[0]}/drain`);
  const one = await eventually(() => set.ask(undefined, { method: "GET", path: "/v1/models/tiny" }), (reply) => reply.json.tidegate.healthy_servers === 1, { what: "the drain to show" });
  assert.equal(one.json.tidegate.servers, 2);
});

test("an alias reaches its model, and the upstream hears the name it knows", async (t) => {
  const set = await stage(t, { servers: [{ upstream_model: "tiny", model_name: "vendor/Tiny-1" }] });
  await set.demand(200, "PUT", "routes/gpt-4o", { targets: ["vendor/Tiny-1"] });
  const reply = await set.ask({ model: "gpt-4o" });
  answered(reply);
  assert.equal(JSON.parse((await set.upstreams[0].arrived()).body).model, "tiny");
  assert.equal((await set.ask(undefined, { method: "GET", path: "/v1/models/vendor%2FTiny-1" })).json.id, "vendor/Tiny-1");
  await set.demand(200, "DELETE", "routes/gpt-4o");
  refused(await set.ask({ model: "gpt-4o" }), 404, "model_not_found");
});

test("a fallback answers when no target can, and not before", async (t) => {
  const set = await stage(t, { servers: [{ model_name: "first", upstream_model: "tiny" }, { model_name: "second", upstream_model: "tiny" }], policy: { hedge: false } });
  await set.demand(200, "PUT", "routes/both", { targets: ["first"], fallbacks: ["second"] });
  for (let n = 0; n < 5; n += 1) answered(await set.ask({ model: "both" }));
  assert.deepEqual(await calls(set), [5, 0]);
  await set.upstreams[0].behave("status", { status: 500 });
  answered(await set.ask({ model: "both" }));
  const said = told((await set.stream({ model: "both" })).text);
  assert.deepEqual([said.text, said.done], [ANSWER, true]);
  await set.upstreams[0].heal();
  await set.upstreams[1].behave("status", { status: 500 });
  answered(await set.ask({ model: "both" }));
});

test("strategies: in turns, by weight, by price, by the head of the prompt", async (t) => {
  const set = await stage(t, { servers: [{ price_per_hour: 2 }, { price_per_hour: 1 }] });
  const [a, b] = set.servers;
  const spread = async (route, count, body = () => ({})) => {
    await set.demand(200, "PUT", "routes/name", { targets: [a, b], ...route });
    const before = await calls(set);
    for (let n = 0; n < count; n += 1) answered(await set.ask({ model: "name", ...body(n) }));
    const now = await calls(set);
    return now.map((value, n) => value - before[n]);
  };
  assert.deepEqual(await spread({ strategy: "round_robin" }, 20), [10, 10]);
  assert.deepEqual(await spread({ strategy: "cost" }, 10), [0, 10]);
  const [heavy, light] = await spread({ strategy: "weighted", weights: { [a]: 9, [b]: 1 } }, 100);
  // A fair draw leaves this range once in a million runs.
  assert.ok(heavy >= 75 && light >= 1, `${heavy}:${light}`);
  const prompt = (text) => () => ({ messages: [{ role: "user", content: text.repeat(200) }] });
  for (const text of ["one", "two", "three"]) {
    const [x, y] = await spread({ strategy: "prefix_affinity" }, 6, prompt(text));
    assert.ok(x === 0 || y === 0, `the same head goes to the same server: ${x}:${y}`);
  }
});

test("least busy: a server whose slots are taken is passed by", async (t) => {
  const set = await stage(t, { servers: [{ max_concurrency: 4 }, { max_concurrency: 4 }], policy: { hedge: false } });
  for (const upstream of set.upstreams) await upstream.behave("pace", { chunks: 2, interval_ms: 2000 });
  const running = [];
  for (let n = 1; n <= 8; n += 1) {
    running.push(set.open());
    await eventually(() => calls(set), ([a, b]) => a + b === n, { what: `request ${n} to be placed` });
  }
  for (const one of running) assert.equal((await one.finished).status, 200);
  assert.deepEqual(await calls(set), [4, 4]);
});

test("draining: running requests end, new ones go elsewhere, resuming brings it back", async (t) => {
  const set = await stage(t, { servers: [{ priority: 1 }, { priority: 0 }] });
  await set.upstreams[0].behave("pace", { chunks: 10, interval_ms: 100 });
  const running = set.open({ stream: true });
  await running.until((exchange) => exchange.text.includes("w0"));
  const shown = await set.demand(200, "POST", `servers/${set.servers[0]}/drain`);
  assert.equal(shown.status, "draining");
  for (let n = 0; n < 3; n += 1) assert.equal((await set.ask()).headers["x-gateway-server-id"], set.servers[1]);
  assert.equal(told((await running.finished).text).done, true, "what ran has ended well");
  const drained = await set.untilServer(0, (server) => server.phase === "drained", "the drain's end");
  assert.match(drained.out_of_service.reason, /drained/);
  await set.demand(200, "POST", `servers/${set.servers[1]}/drain`);
  refused(await set.ask(), 503, "no_healthy_server");
  await set.upstreams[0].heal();
  await set.demand(200, "POST", `servers/${set.servers[0]}/resume`);
  answered(await set.ask());
});

test("a change to a server holds from the next request on", async (t) => {
  const set = await stage(t, { servers: [{ max_concurrency: 1, queue_depth: 0, metadata: { rack: "a" }, owner: "me" }], policy: { model_wait_ms: 0, max_waiting_per_model: 0 } });
  const changed = await set.demand(200, "PUT", `register/${set.servers[0]}`, { max_concurrency: 2, owner: null, price_per_hour: 0.25 });
  assert.equal(changed.registration_id, set.servers[0]);
  const seen = await set.untilServer(0, (server) => server.queue.capacity === 2, "the change to arrive");
  assert.deepEqual([seen.owner, seen.price_per_hour, seen.metadata], [null, "0.25", { rack: "a" }]);
  await set.upstreams[0].behave("pace", { chunks: 2, interval_ms: 400 });
  assert.deepEqual((await Promise.all([set.ask(), set.ask()])).map((reply) => reply.status), [200, 200]);
});

test("a server that is removed is asked no more, and its model is gone", async (t) => {
  const set = await stage(t);
  answered(await set.ask());
  await set.demand(200, "DELETE", `register/${set.servers[0]}`);
  refused(await set.ask(), 404, "model_not_found");
  refused(await set.admin("GET", `servers/${set.servers[0]}`), 404);
  refused(await set.admin("DELETE", `register/${set.servers[0]}`), 404);
  const again = await set.register(set.upstreams[0]);
  assert.notEqual(again, set.servers[0]);
  set.servers[0] = again;
  answered(await set.ask());
});

test("servers are filtered, sorted and paged; stats add up", async (t) => {
  const set = await stage(t, { servers: [{ model_name: "a", priority: 3, owner: "x" }, { model_name: "b", priority: 1, owner: "y" }, { model_name: "c", priority: 2, owner: "x" }] });
  const list = (query) => set.demand(200, "GET", `servers?${query}`);
  assert.deepEqual((await list("sort=-priority")).data.map((server) => server.model_name), ["a", "c", "b"]);
  const page = await list("sort=priority&limit=1&offset=1");
  assert.deepEqual([page.total, page.data.length, page.data[0].model_name], [3, 1, "c"]);
  assert.deepEqual((await list("owner=x&sort=model")).data.map((server) => server.model_name), ["a", "c"]);
  assert.equal((await list("model=b")).total, 1);
  assert.equal((await list("state=ejected")).total, 0);
  refused(await set.admin("GET", "servers?state=odd"), 400);
  const stats = await set.demand(200, "GET", "stats");
  assert.deepEqual([stats.servers, stats.healthy_servers, stats.models, stats.keys], [3, 3, 3, 1]);
});

test("a change of policy holds within five seconds", async (t) => {
  const set = await stage(t);
  await set.upstreams[0].behave("hang");
  await set.policy({ first_token_timeout_ms: 300, hedge: false });
  const began = Date.now();
  const reply = await set.ask({}, { hangsAfterMs: 5000 });
  refused(reply, 504);
  assert.ok(Date.now() - began < 5000);
});
