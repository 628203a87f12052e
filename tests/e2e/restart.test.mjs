// The power goes in the middle of everything; the gateway starts again on the same disk.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Gateway } from "./harness/gateway.mjs";
import { answered, eventually, refused, stage } from "./harness/stage.mjs";

/** A lease lives a minute. */
const LEASE_MS = 60_000;
/** An alarm that the platform lost is set again by the first turn ten seconds later. */
const LOST_ALARM_MS = 10_000;

test("registry, keys, routes, policy, breaker and leases outlive kill -9, and abandoned leases end", async (t) => {
  const gateway = await Gateway.start(t);
  const set = await stage(t, { gateway, servers: [{ max_concurrency: 4, api_key: "server-secret-2", metadata: { rack: "a" } }, { model_name: "broken" }], policy: { health_interval_ms: 1000, health_timeout_ms: 500, max_retries: 0, ejection_base_ms: 60_000 } });
  await set.demand(200, "PUT", "routes/alias", { targets: ["tiny"] });
  const limited = await set.mint({ requests_per_minute: 2 });
  answered(await set.ask({}, { key: limited.key }));
  answered(await set.ask({}, { key: limited.key }));
  await set.upstreams[1].behave("status", { status: 500 });
  for (let n = 0; n < 5; n += 1) await set.ask({ model: "broken" });
  await set.untilServer(1, (server) => server.breaker.state === "ejected", "the ejection");
  const facts = async () => ({
    servers: (await set.demand(200, "GET", "servers?sort=model")).data.map(({ id, endpoint_url, metadata, model_name, has_api_key }) => ({ id, endpoint_url, metadata, model_name, has_api_key })),
    keys: (await set.demand(200, "GET", "keys")).data,
    routes: await set.demand(200, "GET", "routes"),
    policy: await set.demand(200, "GET", "policies/reliability"),
  });
  const before = await facts();
  const [upstream] = set.upstreams;
  await upstream.script({ times: 2, behaviour: { do: "pace", chunks: 1000, interval_ms: 50 } });
  const running = [set.open({ stream: true }), set.open({ stream: true })];
  for (const one of running) await one.until((exchange) => exchange.text.includes("w2"));
  // Leases are written behind the answer, within a second.
  await set.untilServer(0, (server) => server.leases.length === 2, "two leases");
  await running[0].until((exchange) => exchange.text.includes("w30"));

  await gateway.kill();
  for (const one of running) assert.equal((await one.finished).end, "broken");
  const restarted = Date.now();
  const checksSoFar = (await upstream.journal()).requests.length;
  await gateway.restart();

  // Nobody asks anything: the alarms were stored too.
  const checks = await upstream.journal(`requests=${checksSoFar + 2}&wait_ms=20000`);
  assert.ok(checks.complete, "health checks go on by themselves");
  assert.deepEqual(await facts(), before);
  const counted = await set.server(0);
  assert.equal(counted.leases.length, 2, "what may still run is counted");
  assert.equal(counted.queue.running, 2);
  assert.equal((await set.server(1)).breaker.state, "ejected");
  refused(await set.ask({}, { key: limited.key }), 429, "rate_limit_exceeded");
  answered(await set.ask());
  answered(await set.ask({ model: "alias" }));
  const seen = async () => {
    const { leases, queue, totals } = await set.server(0);
    return { leases, running: queue.running, expired: totals.leases_expired };
  };
  const free = await eventually(seen, ({ running }) => running === 0, { within: LEASE_MS + LOST_ALARM_MS + 10_000, what: "the end of the leases" });
  assert.deepEqual(free, { leases: [], running: 0, expired: 2 });
  assert.ok(Date.now() - restarted > 30_000, "not before their time");
  answered(await set.ask());
});

test("a gateway that is killed again and again while it works loses nothing that was answered", async (t) => {
  const gateway = await Gateway.start(t);
  const set = await stage(t, { gateway });
  const minted = [];
  for (let round = 0; round < 4; round += 1) {
    const lanes = Array.from({ length: 4 }, async () => {
      for (;;) {
        const reply = await set.admin("POST", "keys", { name: `round ${round}` });
        if (reply.status !== 201) return;
        minted.push(reply.json);
        if (minted.length >= (round + 1) * 12) return;
      }
    });
    await eventually(async () => minted.length, (count) => count >= round * 12 + 6, { what: "half of the round" });
    await gateway.kill();
    await Promise.all(lanes);
    await gateway.restart();
  }
  const kept = new Set((await set.demand(200, "GET", "keys")).data.map((key) => key.id));
  assert.deepEqual(minted.filter(({ id }) => !kept.has(id)), [], "every key that was shown is there");
  for (const { key } of minted.slice(-3)) answered(await set.ask({}, { key }));
});
