// Rented GPUs, end to end: the bundle on workerd, a cloud that is pretended and metered, a real model server as
// the machine, and OpenAI's own client at the other end.
import assert from "node:assert/strict";
import { test } from "node:test";
import { office } from "./harness/office.mjs";
import { secret } from "./harness/secrets.mjs";
import { eventually } from "./harness/stage.mjs";

test("connect, shop, launch, serve, idle out, and the books are the vendor's to the micro-dollar", { timeout: 240_000 }, async (t) => {
  const it = await office(t, { scaling: { idle_timeout_seconds: 5 } });

  const tested = await it.demand(200, "POST", `providers/runpod/accounts/${it.accounts.runpod}/test`);
  assert.equal(tested.ok, true, JSON.stringify(tested));
  const testedAws = await it.demand(200, "POST", `providers/aws/accounts/${it.accounts.aws}/test`);
  assert.equal(testedAws.ok, true, JSON.stringify(testedAws));

  const offers = await it.demand(200, "GET", "offers?min_vram_gb=16&limit=200");
  assert.deepEqual(offers.failures, []);
  const prices = offers.data.map(({ price_per_hour: price }) => (price === null ? Infinity : Number(price)));
  assert.deepEqual(prices, [...prices].sort((a, b) => a - b), "cheapest first over both vendors");
  assert.deepEqual(new Set(offers.data.map(({ vendor }) => vendor)), new Set(["runpod", "aws"]));

  await it.demand(200, "PUT", "budgets/organisation", { period: "day", cap: "20" });
  const estimate = await it.demand(200, "POST", "instances:estimate", { profile: "tiny", constraints: { vendor: "runpod" } });
  const launched = await it.launch();
  assert.equal(launched.status, "requested");
  const ready = await it.until(launched.id, "ready");
  assert.equal(ready.vendor, "runpod");
  it.cloud.noteSecrets(launched.id);
  assert.ok(Number(ready.price_per_hour) > 0 && JSON.stringify(estimate).includes(ready.price_per_hour), `${JSON.stringify(estimate)} ${ready.price_per_hour}`);

  const client = await it.client();
  assert.equal(await it.hello(client), "Hello! How can I help you today?");
  const stream = await client.chat.completions.create({ model: "rented", stream: true, messages: [{ role: "user", content: "Count to ten." }], temperature: 0 });
  let text = "";
  for await (const chunk of stream) text += chunk.choices[0]?.delta?.content ?? "";
  assert.match(text, /1 2 3/);

  const open = await fetch(`${ready.endpoint_url}/v1/models`);
  assert.equal(open.status, 401, "what it serves is nobody's who lacks its own key");

  const over = await it.until(launched.id, "terminated");
  assert.match(over.status_reason, /no request for as long as it may idle/);
  const meter = await it.cloud.meter();
  assert.equal(meter.totals.billing_machines, 0, JSON.stringify(meter.totals));
  const [machine] = meter.machines;
  assert.equal(meter.machines.length, 1);
  // The vendor is asked for its bill a minute after the end.
  const owed = await eventually(() => it.owed("runpod"), (owed) => owed === machine.microusd, { within: 120_000, what: `${machine.microusd} micro-dollars in the books` });
  assert.equal(owed, machine.microusd);
  const { balances } = await it.demand(200, "GET", "ledger");
  const sum = balances.reduce((sum, { balance }) => sum + Math.round(Number(balance) * 1e6), 0);
  assert.equal(sum, 0, "double entry");
  assert.ok(balances.some(({ account }) => account.startsWith("share/key/")), "the key that used it pays its share");

  const story = await it.events(launched.id);
  for (const step of ["requested", "attempt_begun", "provisioning", "booting", "warming", "ready", "draining", "terminating", "terminated"]) {
    assert.ok(story.includes(`instance.${step}`), `${step} in ${story.join(" ")}`);
  }
  const day = new Date().toISOString().slice(0, 10);
  const audit = await it.demand(200, "GET", `audit?day=${day}&limit=500`);
  const actions = new Set(audit.data.map(({ action }) => action));
  for (const action of ["account.connected", "profile.put", "budget.set", "instance.launched", "instance.ready", "server.registered", "instance.terminated"]) {
    assert.ok(actions.has(action), `${action} in ${[...actions].join(" ")}`);
  }
});

test("a machine at AWS runs its script, calls home, and cannot be reached: the API says why", { timeout: 300_000 }, async (t) => {
  const it = await office(t, { vendors: ["aws"] });
  const { id } = await it.launch({ constraints: { vendor: "aws" } });
  const up = await it.until(id, "ready_unreachable", { within: 120_000 });
  assert.match(up.status_reason, /public TLS/);
  assert.deepEqual(up.dead_man_switches, ["alarm", "sweep", "guest_timer"]);
  const [machine] = await it.machines(id);
  it.cloud.noteSecretsOnDisk(machine.id);
  const printed = await it.cloud.printed(machine.id);
  assert.match(printed, /tidegate/, "its script ran");
  const key = await it.demand(200, "POST", `instances/${id}/ssh-key`);
  assert.match(key.private_key, /BEGIN OPENSSH PRIVATE KEY/);
  secret("ssh key", key.private_key.split("\n")[4]);
  await it.demand(200, "POST", `instances/${id}/terminate`);
  await it.until(id, "terminated", { within: 120_000 });
  const meter = await it.cloud.meter();
  assert.equal(meter.totals.billing_machines, 0);
  const [metered] = meter.machines;
  assert.equal(await eventually(() => it.owed("aws"), (owed) => owed === metered.microusd, { what: `${metered.microusd} micro-dollars` }), metered.microusd);
});
