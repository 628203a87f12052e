// Health: servers check themselves by their own alarms, without any traffic.
import assert from "node:assert/strict";
import { test } from "node:test";
import { answered, eventually, refused, stage } from "./harness/stage.mjs";

const EVERY_SECOND = { health_interval_ms: 1000, health_timeout_ms: 500 };

test("three failed checks in a row take a dead server out, a good one puts it back, each with its reason", async (t) => {
  const set = await stage(t, { servers: [{ priority: 1 }, { priority: 0 }], policy: EVERY_SECOND });
  const [server] = set.servers;
  await set.upstreams[0].accepting("refuse", { close_existing: true });
  const out = await set.untilServer(0, (seen) => seen.health === "unhealthy", "the server to be out");
  assert.match(out.out_of_service.reason, /health checks fail/);
  assert.deepEqual(out.checks.slice(-3).map((check) => check.ok), [false, false, false]);
  assert.ok(out.success_rate < 1);
  const listed = await set.demand(200, "GET", "servers?state=unhealthy");
  assert.deepEqual(listed.data.map((seen) => seen.id), [server]);
  answered(await set.ask());
  assert.equal((await set.upstreams[0].posts()).length, 0);
  await set.upstreams[0].accepting("normal");
  const back = await set.untilServer(0, (seen) => seen.health === "healthy", "the server to be back");
  assert.equal(back.in_service, true);
  // Its breaker never heard of any of it.
  assert.deepEqual([back.breaker.state, back.breaker.ejections], ["admitting", 0]);
  const audit = await set.demand(200, "GET", "audit");
  const told = JSON.stringify(audit);
  assert.match(told, /unhealthy/);
  assert.ok(told.includes(server));
});

test("the only server out is 503 with the reason, and who comes back is asked again", async (t) => {
  const set = await stage(t, { policy: EVERY_SECOND });
  await set.upstreams[0].script({ path: "/v1/models", behaviour: { do: "status", status: 500 } });
  await set.untilServer(0, (seen) => seen.health === "unhealthy", "the server to be out");
  const error = refused(await set.ask(), 503, "no_healthy_server");
  assert.match(error.message, /health/i);
  await set.upstreams[0].heal();
  await set.untilServer(0, (seen) => seen.health === "healthy", "the server to be back");
  // What the gateway remembers of its servers is two seconds old at most, and refreshed behind a request.
  answered(await eventually(() => set.ask(), (reply) => reply.status === 200, { within: 5000, what: "the way back" }));
});

test("a check that hangs counts as failed at its deadline", async (t) => {
  const set = await stage(t, { policy: EVERY_SECOND });
  await set.upstreams[0].script({ path: "/v1/models", behaviour: { do: "hang" } });
  const out = await set.untilServer(0, (seen) => seen.health === "unhealthy", "the server to be out");
  assert.ok(out.checks.at(-1).latency_ms < 1500);
});

test("checks go on by themselves while nobody asks anything", async (t) => {
  const set = await stage(t, { policy: EVERY_SECOND });
  const checks = async () => (await set.upstreams[0].journal("requests=4&wait_ms=15000")).requests.filter((entry) => entry.path === "/v1/models");
  const seen = await checks();
  assert.ok(seen.length >= 4, `${seen.length} checks`);
  const gaps = seen.slice(1).map((entry, n) => entry.at_ms - seen[n].at_ms).slice(1);
  // An interval, a tenth of jitter, a busy machine.
  assert.ok(gaps.every((gap) => gap > 900 && gap < 3000), `${gaps}`);
});

test("a check on demand answers with what it found", async (t) => {
  const set = await stage(t);
  const good = await set.demand(200, "POST", `servers/${set.servers[0]}/health-check`);
  assert.equal(good.check.ok, true);
  await set.upstreams[0].script({ path: "/v1/models", behaviour: { do: "html_page" } });
  const bad = await set.demand(200, "POST", `servers/${set.servers[0]}/health-check`);
  assert.equal(bad.check.ok, false, JSON.stringify(bad.check));
  assert.ok(bad.check.reason);
});

test("of more than a hundred checks the last hundred are kept", async (t) => {
  const set = await stage(t);
  for (let n = 0; n < 104; n += 1) await set.demand(200, "POST", `servers/${set.servers[0]}/health-check`);
  assert.equal((await set.server()).checks.length, 100);
});
