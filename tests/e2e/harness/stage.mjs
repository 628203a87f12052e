// A stage for one test: an organisation of its own in the gateway, with scripted upstreams registered,
// a policy and a key. Nothing is shared between two stages but the gateway.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { Gateway } from "./gateway.mjs";
import { Exchange, exchange } from "./http.mjs";
import { ANSWER, PROMPT, secret } from "./secrets.mjs";
import { CHAT, Upstream } from "./upstream.mjs";

export const MODEL = "tiny";
export { ANSWER };

/** A breaker that never speaks, for tests about something else. */
export const NO_BREAKER = { eject_after_consecutive_failures: 1000, eject_failure_percent: 100, eject_min_requests: 100_000 };

const POLL_MS = 25;

/** Asks again until `accept` takes the answer: for states that can only be read, not waited for. */
export async function eventually(ask, accept, { within = 10_000, what = "the state" } = {}) {
  const deadline = Date.now() + within;
  for (;;) {
    const seen = await ask();
    if (accept(seen)) return seen;
    assert.ok(Date.now() < deadline, `${what} was not reached within ${within} ms; last seen: ${JSON.stringify(seen)?.slice(0, 1500)}`);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

export class Stage {
  upstreams = [];
  /** Registration ids, one for each upstream. */
  servers = [];

  constructor(gateway, org) {
    this.gateway = gateway;
    this.org = org;
  }

  admin(method, path, body, headers) {
    return this.gateway.admin(this.org, method, path, body, headers);
  }

  /** As `admin`, but anything else than `status` fails the test. */
  async demand(status, method, path, body) {
    const reply = await this.admin(method, path, body);
    assert.equal(reply.status, status, `${method} /admin/${path}: ${reply.end} ${reply.text}`);
    return reply.json;
  }

  async register(upstream, fields = {}) {
    const body = { model_name: MODEL, endpoint_url: upstream.url, ...fields };
    return (await this.demand(201, "POST", "register", body)).registration_id;
  }

  policy(numbers) {
    return this.demand(200, "PUT", "policies/reliability", numbers);
  }

  async mint(fields = {}) {
    return this.demand(201, "POST", "keys", { name: "e2e", ...fields });
  }

  /** Everything known about a server. */
  server(n = 0) {
    return this.demand(200, "GET", `servers/${this.servers[n]}`);
  }

  untilServer(n, accept, what = "the server's state") {
    return eventually(() => this.server(n), accept, { what });
  }

  #options(body, { path = CHAT, key = this.key, headers = {}, ...rest } = {}) {
    const raw = typeof body === "string" || Buffer.isBuffer(body);
    return {
      path,
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json", ...headers },
      body: raw ? body : JSON.stringify({ model: MODEL, messages: [{ role: "user", content: PROMPT }], ...body }),
      ...rest,
    };
  }

  /** Begins a request and hands it back at once. */
  open(body = {}, options = {}) {
    return new Exchange(this.gateway.url, this.#options(body, options));
  }

  /** Sends a request to its end. */
  ask(body = {}, options = {}) {
    return exchange(this.gateway.url, this.#options(body, options));
  }

  stream(body = {}, options = {}) {
    return this.ask({ stream: true, ...body }, options);
  }

  async close() {
    await Promise.all(this.servers.map((id) => this.admin("DELETE", `register/${id}`)));
    await Promise.all(this.upstreams.map((upstream) => upstream.end()));
  }
}

/** Sets a stage that is cleared with `t`. `servers`: a number, or the registration fields of each. */
export async function stage(t, { servers = 1, policy, key = {}, gateway = Gateway.shared(), upstream = [] } = {}) {
  const set = new Stage(gateway, `e2e-${randomBytes(8).toString("hex")}`);
  t.after(() => set.close());
  secret("landmark", set.org);
  const wanted = typeof servers === "number" ? Array.from({ length: servers }, () => ({})) : servers;
  set.upstreams = await Promise.all(wanted.map(() => Upstream.start(...upstream)));
  // Servers learn the policy with their registration.
  if (policy) await set.policy(policy);
  for (const [n, fields] of wanted.entries()) set.servers.push(await set.register(set.upstreams[n], fields));
  set.key = (await set.mint(key)).key;
  return set;
}

/** An error in OpenAI's envelope, all four members there. */
export function assertEnvelope(error, message = "") {
  assert.ok(error && typeof error === "object", `${message}: no error object, but ${JSON.stringify(error)}`);
  assert.deepEqual(Object.keys(error).sort(), ["code", "message", "param", "type"], message);
  assert.equal(typeof error.message, "string", message);
  assert.equal(typeof error.type, "string", message);
}

/** Asserts a whole error answer and hands its error back. */
export function refused(reply, status, code) {
  assert.equal(reply.end, "complete", `ended ${reply.end}: ${reply.error}`);
  assert.equal(reply.status, status, reply.text.slice(0, 500));
  assertEnvelope(reply.json.error, reply.text);
  if (code !== undefined) assert.equal(reply.json.error.code, code, reply.text);
  return reply.json.error;
}

/** Asserts the usual whole answer. */
export function answered(reply, text = ANSWER) {
  assert.equal(reply.end, "complete", `ended ${reply.end}: ${reply.error}`);
  assert.equal(reply.status, 200, reply.text.slice(0, 500));
  assert.equal(reply.json.choices[0].message.content, text);
}
