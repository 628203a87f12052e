// Rented GPUs, end to end: the bundle on workerd, a cloud that is pretended and metered, a real model server as
// the machine, and OpenAI's own client at the other end.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { test } from "node:test";
import OpenAI from "openai";
import { Cloud } from "./harness/cloud.mjs";
import { Gateway, freePort } from "./harness/gateway.mjs";
import { secret } from "./harness/secrets.mjs";
import { eventually } from "./harness/stage.mjs";

const TINY = {
  kind: "llama_cpp",
  model_name: "rented",
  upstream_model: "tiny-chat",
  image: "ghcr.io/ggml-org/llama.cpp:server-cuda",
  args: [],
  port: 8080,
  health_path: "/health",
  disk_gb: 20,
  max_concurrency: 4,
};

/** A gateway of its own with a cloud of its own, one account at each vendor, and a profile. */
async function office(t, { env = {}, set = [], scaling = {}, vendors = ["runpod", "aws"] } = {}) {
  const cloud = await Cloud.start(t, { set });
  const port = await freePort();
  const gateway = await Gateway.start(t, { VENDOR_ORIGINS: cloud.origins, PUBLIC_URL: `http://127.0.0.1:${port}`, PORT: String(port), ...env });
  const it = new Office(gateway, cloud, `e2e-${randomBytes(6).toString("hex")}`);
  for (const vendor of vendors) await it.connect(vendor);
  await it.demand(200, "PUT", "profiles/tiny", { ...TINY, scaling: { idle_timeout_seconds: 3600, max_instances: 10, ...scaling } });
  return it;
}

class Office {
  accounts = {};

  constructor(gateway, cloud, org) {
    this.gateway = gateway;
    this.cloud = cloud;
    this.org = org;
    secret("landmark", org);
  }

  admin(method, path, body, headers) {
    return this.gateway.admin(this.org, method, path, body, headers);
  }

  async demand(status, method, path, body, headers) {
    const reply = await this.admin(method, path, body, headers);
    assert.equal(reply.status, status, `${method} /admin/${path}: ${reply.end} ${reply.text}`);
    return reply.json;
  }

  credential(vendor) {
    const key = this.cloud.key(vendor);
    return vendor === "aws" ? { access_key_id: key.id, secret_access_key: key.secret } : { api_key: key.id };
  }

  async connect(vendor) {
    const settings = vendor === "aws" ? { regions: "us-east-1", ami_id: "ami-0123456789abcdef0" } : {};
    const account = await this.demand(201, "POST", `providers/${vendor}/accounts`, { label: vendor, credential: this.credential(vendor), settings });
    this.accounts[vendor] = account.id;
    return account;
  }

  launch(order = {}) {
    return this.demand(201, "POST", "instances", { profile: "tiny", constraints: { vendor: "runpod" }, ...order });
  }

  instance(id) {
    return this.demand(200, "GET", `instances/${id}`);
  }

  until(id, status, { within = 60_000 } = {}) {
    const wanted = [status].flat();
    return eventually(() => this.instance(id), (seen) => wanted.includes(seen.status), { within, what: `${wanted.join(" or ")} of ${id}` });
  }

  async client() {
    const { key } = await this.demand(201, "POST", "keys", { name: "e2e" });
    return new OpenAI({ baseURL: `${this.gateway.url}/v1`, apiKey: key, maxRetries: 0 });
  }

  async hello(client) {
    const answer = await client.chat.completions.create({ model: "rented", messages: [{ role: "user", content: "Say hello." }], temperature: 0 });
    return answer.choices[0].message.content;
  }

  /** What the vendor's books here say of an account, in micro-dollars. */
  async owed(vendor) {
    const { balances } = await this.demand(200, "GET", "ledger");
    const found = balances.find(({ account }) => account === `vendor/${this.accounts[vendor]}`);
    return found === undefined ? 0 : -Math.round(Number(found.balance) * 1e6);
  }

  async events(id) {
    const { data } = await this.demand(200, "GET", `instances/${id}/events?limit=200`);
    return data.map(({ event }) => event).reverse();
  }
}

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

test("what goes wrong on the way", { timeout: 600_000 }, async (t) => {
  const it = await office(t);
  const client = await it.client();
  const { cloud } = it;

  await t.test("a lost reply to create is found again: one machine, and it serves", async () => {
    await cloud.fault({ vendor: "runpod", operation: "create", times: 1, fault: { do: "reply_lost" } });
    const { id } = await it.launch();
    await it.until(id, "ready", { within: 120_000 });
    const story = await it.events(id);
    for (const step of ["create_unclear", "attempt_ambiguous", "adopted"]) assert.ok(story.includes(`instance.${step}`), `${step} in ${story}`);
    assert.equal((await machinesOf(cloud, id)).length, 1, "nobody rented twice");
    assert.equal(await it.hello(client), "Hello! How can I help you today?");
    await end(it, id);
  });

  await t.test("a refusal for want of capacity goes on to the next offer", async () => {
    await cloud.fault({ vendor: "runpod", operation: "create", times: 2, fault: { do: "no_capacity" } });
    const { id } = await it.launch();
    const ready = await it.until(id, "ready", { within: 120_000 });
    assert.equal(ready.attempts.length, 3, JSON.stringify(ready.attempts));
    assert.match(ready.attempts[0].outcome, /no longer any instances available/);
    assert.equal((await machinesOf(cloud, id)).length, 1);
    await end(it, id);
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
    await end(it, id);
  });

  await t.test("a vendor that is down keeps it terminating until it is back", async () => {
    const { id } = await it.launch();
    await it.until(id, "ready");
    await cloud.fault({ vendor: "runpod", fault: { do: "html", status: 503 } });
    await it.demand(200, "POST", `instances/${id}/terminate`);
    const asked = await cloud.order("GET", `journal?vendor=runpod&operation=destroy&count=1&wait_ms=30000`);
    assert.ok(asked, "it was told");
    assert.equal((await it.instance(id)).status, "terminating");
    const [machine] = await machinesOf(cloud, id);
    assert.equal(machine.phase, "running", "and could not hear");
    await cloud.calm();
    await it.until(id, "terminated", { within: 180_000 });
    assert.equal((await cloud.meter()).totals.billing_machines, 0);
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
    assert.equal(offers.failures.length, 1);
    assert.equal(offers.failures[0].account_id, bad.id);
    await it.demand(200, "DELETE", `providers/runpod/accounts/${bad.id}`);
  });

  await t.test("an account with something alive is not forgotten", async () => {
    const { id } = await it.launch();
    await it.until(id, "ready");
    const refused = await it.admin("DELETE", `providers/runpod/accounts/${it.accounts.runpod}`);
    assert.equal(refused.status, 409, refused.text);
    assert.ok(refused.text.includes(id), refused.text);
    await end(it, id);
  });
});

test("a machine at AWS runs its script, calls home, and cannot be reached: the API says why", { timeout: 300_000 }, async (t) => {
  const it = await office(t, { vendors: ["aws"] });
  const { id } = await it.launch({ constraints: { vendor: "aws" } });
  const up = await it.until(id, "ready_unreachable", { within: 120_000 });
  assert.match(up.status_reason, /public TLS/);
  assert.deepEqual(up.dead_man_switches.map(({ name }) => name ?? String()).length, 3, JSON.stringify(up.dead_man_switches));
  const [machine] = await machinesOf(it.cloud, id);
  const log = await it.cloud.order("GET", `machines/${machine.id}/log`);
  assert.ok(JSON.stringify(log).length > 2, "its script ran");
  const key = await it.demand(200, "POST", `instances/${id}/ssh-key`);
  assert.match(key.private_key, /BEGIN OPENSSH PRIVATE KEY/);
  secret("ssh key", key.private_key.split("\n")[1]);
  await it.demand(200, "POST", `instances/${id}/terminate`);
  await it.until(id, "terminated", { within: 120_000 });
  const meter = await it.cloud.meter();
  assert.equal(meter.totals.billing_machines, 0);
  const [metered] = meter.machines;
  assert.equal(await eventually(() => it.owed("aws"), (owed) => owed === metered.microusd, { what: `${metered.microusd} micro-dollars` }), metered.microusd);
});

test("a gateway that is killed in the middle loses no machine", { timeout: 300_000 }, async (t) => {
  const it = await office(t, { vendors: ["runpod", "aws"] });
  // The answer to create takes longer than the gateway lives.
  await it.cloud.fault({ operation: "create", times: 2, fault: { do: "delay", ms: 3_000 } });
  const { id: public_ } = await it.launch();
  const { id: other } = await it.launch({ constraints: { vendor: "aws" } });
  await it.cloud.order("GET", "machines?count=2&wait_ms=30000");
  await it.gateway.kill();
  await it.gateway.restart();
  await it.until(public_, "ready", { within: 180_000 });
  await it.until(other, "ready_unreachable", { within: 180_000 });
  for (const id of [public_, other]) assert.equal((await machinesOf(it.cloud, id)).length, 1, "and rents none twice");
  // Killed again while it gives back.
  for (const id of [public_, other]) await it.demand(200, "POST", `instances/${id}/terminate`);
  await it.gateway.kill();
  await it.gateway.restart();
  for (const id of [public_, other]) await it.until(id, "terminated", { within: 180_000 });
  assert.equal((await it.cloud.meter()).totals.billing_machines, 0);
});

async function machinesOf(cloud, id) {
  const { machines } = await cloud.order("GET", "machines");
  return machines.filter(({ name }) => name.includes(id));
}

async function end(it, id) {
  await it.demand(200, "POST", `instances/${id}/terminate`);
  await it.until(id, "terminated", { within: 120_000 });
}
