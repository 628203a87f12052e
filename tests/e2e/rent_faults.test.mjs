// Rented GPUs while their vendor misbehaves: no machine is lost, none is paid twice, and people are told why.
import assert from "node:assert/strict";
import { test } from "node:test";
import { office } from "./harness/office.mjs";
import { secret } from "./harness/secrets.mjs";
import { eventually } from "./harness/stage.mjs";

test("what goes wrong on the way", { timeout: 600_000 }, async (t) => {
  const it = await office(t, { env: { FAULTS: "1" } });
  const client = await it.client();
  const { cloud } = it;

  await t.test("a lost reply to create is found again: one machine, and it serves", async () => {
    await cloud.fault({ vendor: "runpod", operation: "create", times: 1, fault: { do: "reply_lost" } });
    const { id } = await it.launch();
    await it.until(id, "ready", { within: 120_000 });
    const story = await it.events(id);
    for (const step of ["create_unclear", "attempt_ambiguous", "adopted"]) assert.ok(story.includes(`instance.${step}`), `${step} in ${story}`);
    assert.equal((await it.machines(id)).length, 1, "nobody rented twice");
    assert.equal(await it.hello(client), "Hello! How can I help you today?");
    await it.end(id);
  });

  await t.test("a refusal for want of capacity goes on to the next offer", async () => {
    await cloud.fault({ vendor: "runpod", operation: "create", times: 2, fault: { do: "no_capacity" } });
    const { id } = await it.launch();
    const ready = await it.until(id, "ready", { within: 120_000 });
    assert.equal(ready.attempts.length, 3, JSON.stringify(ready.attempts));
    assert.match(ready.attempts[0].outcome, /no longer any instances available/);
    assert.equal((await it.machines(id)).length, 1);
    await it.end(id);
  });

  await t.test("it is stopped with its disk kept, started again, and serves", async () => {
    const { id } = await it.launch();
    await it.until(id, "ready");
    await it.demand(200, "POST", `instances/${id}/stop`);
    const stopped = await it.until(id, "stopped");
    assert.equal(stopped.billing, "disk");
    const gone = await it.admin("GET", "servers");
    assert.ok(!gone.text.includes(id), "out of rotation");
    await it.demand(200, "POST", `instances/${id}/start`);
    await it.until(id, "ready", { within: 120_000 });
    await eventually(() => it.hello(client).catch(String), (said) => said === "Hello! How can I help you today?");
    await it.end(id);
  });

  await t.test("a vendor that is down keeps it terminating until it is back", async () => {
    const { id } = await it.launch();
    await it.until(id, "ready");
    await cloud.fault({ vendor: "runpod", fault: { do: "html", status: 503 } });
    await it.demand(200, "POST", `instances/${id}/terminate`);
    const asked = await cloud.order("GET", `journal?vendor=runpod&operation=destroy&count=1&wait_ms=30000`);
    assert.ok(asked, "it was told");
    assert.equal((await it.instance(id)).status, "terminating");
    const [machine] = await it.machines(id);
    assert.equal(machine.phase, "running", "and could not hear");
    await cloud.calm();
    await it.until(id, "terminated", { within: 180_000 });
    assert.equal((await cloud.meter()).totals.billing_machines, 0);
  });

  await t.test("an alarm that is lost is not missed: it idles out all the same", async () => {
    const { id } = await it.launch({ idle_timeout_seconds: 5 });
    await it.until(id, "ready");
    assert.equal(await it.hello(client), "Hello! How can I help you today?");
    await it.loseAlarm(`instance/${it.org}/${id}`);
    // Nobody asks for it meanwhile: only its machine calls home.
    const [machine] = await it.machines(id);
    await eventually(() => cloud.meter(), ({ totals }) => totals.billing_machines === 0, { within: 90_000, what: `the end of ${machine.id}` });
    await it.until(id, "terminated");
  });

  await t.test("a budget that does not allow it is told before anything is rented", async () => {
    await it.demand(200, "PUT", "budgets/organisation", { period: "day", cap: "0.001" });
    const refused = await it.admin("POST", "instances", { profile: "tiny", constraints: { vendor: "runpod" } });
    assert.equal(refused.status, 402, refused.text);
    assert.equal(refused.json.error.code, "budget_exceeded");
    await it.demand(200, "DELETE", "budgets/organisation");
  });

  await t.test("a key that the vendor does not take fails the launch in the vendor's words", async () => {
    const bad = await it.demand(201, "POST", "providers/runpod/accounts", { label: "bad", credential: { api_key: "rpa_not_a_key_of_this_cloud_0000000000" } });
    secret("vendor key", "rpa_not_a_key_of_this_cloud_0000000000");
    const tested = await it.demand(200, "POST", `providers/runpod/accounts/${bad.id}/test`);
    assert.deepEqual([tested.ok, tested.reachable, tested.authenticated], [false, true, false], JSON.stringify(tested));
    const offers = await it.demand(200, "GET", "offers?vendor=runpod&limit=1");
    assert.ok(offers.failures.length > 0, "said, and not left out");
    assert.deepEqual(new Set(offers.failures.map(({ account_id: id }) => id)), new Set([bad.id]));
    await it.demand(200, "DELETE", `providers/runpod/accounts/${bad.id}`);
  });

  await t.test("an account with something alive is not forgotten", async () => {
    const { id } = await it.launch();
    await it.until(id, "ready");
    const refused = await it.admin("DELETE", `providers/runpod/accounts/${it.accounts.runpod}`);
    assert.equal(refused.status, 409, refused.text);
    assert.ok(refused.text.includes(id), refused.text);
    await it.end(id);
  });
});
