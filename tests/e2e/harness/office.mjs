// An organisation that rents: a gateway of its own, a cloud of its own, one account at each vendor, and a profile.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import OpenAI from "openai";
import { Cloud } from "./cloud.mjs";
import { Gateway, freePort } from "./gateway.mjs";
import { exchange } from "./http.mjs";
import { secret } from "./secrets.mjs";
import { eventually } from "./stage.mjs";

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

export async function office(t, { env = {}, set = [], scaling = {}, vendors = ["runpod", "aws"] } = {}) {
  const cloud = await Cloud.start(t, { set });
  const port = await freePort();
  const gateway = await Gateway.start(t, { VENDOR_ORIGINS: cloud.origins, PUBLIC_URL: `http://127.0.0.1:${port}`, PORT: String(port), ...env });
  const it = new Office(gateway, cloud, `e2e-${randomBytes(6).toString("hex")}`);
  for (const vendor of vendors) await it.connect(vendor);
  await it.demand(200, "PUT", "profiles/tiny", { ...TINY, scaling: { idle_timeout_seconds: 3600, max_instances: 10, ...scaling } });
  return it;
}

export class Office {
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
    const settings = vendor === "aws" ? { regions: "us-east-1" } : {};
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

  /** As the platform may lose one: the object does not know. Needs FAULTS=1. */
  async loseAlarm(object) {
    const reply = await exchange(this.gateway.url, { method: "POST", path: `/debug/alarm?object=${object}` });
    assert.equal(reply.status, 204, reply.text);
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

  /** What the cloud knows of the machines of an instance, whatever attempt they are of. */
  async machines(id) {
    const { machines } = await this.cloud.order("GET", "machines");
    return machines.filter(({ name }) => name.includes(id));
  }

  async end(id) {
    await this.demand(200, "POST", `instances/${id}/terminate`);
    await this.until(id, "terminated", { within: 120_000 });
  }
}
