// A scripted upstream of its own for each test: what tests/upstream can be ordered to do.
import assert from "node:assert/strict";
import { join } from "node:path";
import { ROOT } from "../../../scripts/paths.mjs";
import { Running } from "./process.mjs";
import { request } from "./secrets.mjs";

const BINARY = join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "debug", "tidegate-upstream");
const PATIENCE_MS = 20_000;

export const CHAT = "/v1/chat/completions";

export class Upstream {
  #process;

  static async start(...args) {
    const upstream = new Upstream();
    upstream.#process = new Running("the upstream", BINARY, args, { speaks: true });
    const line = await upstream.#process.line((text) => text.startsWith("listening "));
    upstream.url = line.slice("listening ".length);
    const info = await (await fetch(`${upstream.url}/_control/info`)).json();
    upstream.control = info.control_url;
    return upstream;
  }

  /** Notes what reached it, for the secret scan, and ends it. */
  async end() {
    if (!this.#process.ended) {
      const { requests } = await this.journal();
      for (const entry of requests) request(this.url, entry);
    }
    return this.#process.end("SIGKILL");
  }

  async #order(method, name, order) {
    const reply = await fetch(`${this.control}/_control/${name}`, { method, body: JSON.stringify(order) });
    assert.equal(reply.status, 200, `the upstream refused an order: ${reply.status === 200 || (await reply.text())}`);
  }

  /** Rules that replace all others; a rule without a path is about chat completions. */
  script(...rules) {
    return this.#order("PUT", "script", { rules: rules.map((rule) => ({ path: CHAT, ...rule })) });
  }

  /** One behaviour for every chat request, the fields of its rule beside it. */
  behave(name, fields = {}, rule = {}) {
    return this.script({ ...rule, behaviour: { do: name, ...fields } });
  }

  dialect(dialect, ...rules) {
    return this.#order("PUT", "script", { dialect, rules });
  }

  heal() {
    return this.script();
  }

  accepting(mode, fields = {}) {
    return this.#order("PUT", "accepting", { mode, ...fields });
  }

  async journal(query = "") {
    return (await fetch(`${this.control}/_control/journal?${query}`)).json();
  }

  /** Requests other than health checks. */
  async posts() {
    return (await this.journal()).requests.filter((entry) => entry.method === "POST");
  }

  /** Waits, without polling, until `found(posts)` gives something and returns it. `change` names what it
   * waits for: another request, another one ended, another one aborted. */
  async until(change, found, wanted = "the journal to change") {
    const deadline = Date.now() + PATIENCE_MS;
    for (;;) {
      const { requests } = await this.journal();
      const result = found(requests.filter((entry) => entry.method === "POST"));
      if (result) return result;
      const left = deadline - Date.now();
      assert.ok(left > 0, `waited ${PATIENCE_MS} ms for ${wanted}`);
      const counts = { requests: requests.length, ended: requests.filter((e) => e.outcome !== "open").length, aborted: requests.filter((e) => e.outcome === "aborted").length };
      await this.journal(`${change}=${counts[change] + 1}&wait_ms=${left}`);
    }
  }

  /** The n-th post (from 1), once it has arrived. */
  arrived(n = 1) {
    return this.until("requests", (posts) => posts[n - 1], `request ${n} to arrive`);
  }

  /** The n-th post, once it has ended. */
  ended(n = 1) {
    return this.until("ended", (posts) => posts[n - 1] && posts[n - 1].outcome !== "open" && posts[n - 1], `request ${n} to end`);
  }

  /** The n-th post, once its client has left. */
  aborted(n = 1) {
    return this.until("aborted", (posts) => posts[n - 1]?.outcome === "aborted" && posts[n - 1], `request ${n} to be aborted`);
  }
}
