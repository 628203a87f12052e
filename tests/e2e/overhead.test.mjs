// What the gateway adds to a request, measured in pairs: straight to the upstream, then through.
import assert from "node:assert/strict";
import http from "node:http";
import { test } from "node:test";
import { figure, percentile } from "./harness/figures.mjs";
import { exchange } from "./harness/http.mjs";
import { CHAT } from "./harness/upstream.mjs";
import { MODEL, stage } from "./harness/stage.mjs";

const PAIRS = 150;
/** Not a target (docs/scorecard.md and bench/ have those): a bound that no honest change crosses. */
const NEVER_ABOVE_MS = 20;

async function pairs(set, body, measure) {
  const agents = [0, 1].map(() => new http.Agent({ keepAlive: true, maxSockets: 1 }));
  const payload = JSON.stringify({ model: MODEL, messages: [{ role: "user", content: "Say hello." }], ...body });
  const headers = { "content-type": "application/json" };
  const straight = () => exchange(set.upstreams[0].url, { path: CHAT, headers, body: payload, agent: agents[0] });
  const through = () => set.ask(payload, { agent: agents[1] });
  const times = { straight: [], through: [] };
  for (let n = 0; n < PAIRS + 30; n += 1) {
    const [one, two] = [await straight(), await through()];
    assert.deepEqual([one.status, two.status], [200, 200]);
    if (n < 30) continue;
    times.straight.push(measure(one));
    times.through.push(measure(two));
  }
  for (const agent of agents) agent.destroy();
  const added = (p) => percentile(times.through, p) - percentile(times.straight, p);
  return { p50: added(50), p90: added(90) };
}

test("a plain answer takes little longer", async (t) => {
  const set = await stage(t);
  const { p50, p90 } = await pairs(set, {}, (reply) => reply.tookMs);
  figure(8, `+${p50.toFixed(1)} ms (p90 +${p90.toFixed(1)})`);
  assert.ok(p50 < NEVER_ABOVE_MS, `${p50} ms`);
});

test("the first token comes little later", async (t) => {
  const set = await stage(t);
  await set.upstreams[0].behave("pace", { chunks: 5, interval_ms: 2 });
  const { p50, p90 } = await pairs(set, { stream: true }, (reply) => reply.firstTokenMs);
  figure(7, `+${p50.toFixed(1)} ms (p90 +${p90.toFixed(1)})`);
  assert.ok(p50 < NEVER_ABOVE_MS, `${p50} ms`);
});
