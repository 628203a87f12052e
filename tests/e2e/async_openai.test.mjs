// async-openai: a program of its own asks (async_openai/client.rs), one scenario a test.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { ROOT } from "../../scripts/paths.mjs";
import { runToEnd } from "../../scripts/processes.mjs";
import { Gateway } from "./harness/gateway.mjs";
import { MODEL, Stage, stage } from "./harness/stage.mjs";

const BINARY = join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "debug", "tidegate-async-openai");
const { model } = JSON.parse(process.env.TIDEGATE_E2E);
const gateway = Gateway.shared();
const real = new Stage(gateway, `async-openai-${randomBytes(8).toString("hex")}`);

before(async () => {
  real.servers.push(await real.register({ url: model.url }, { model_name: model.model, max_concurrency: 4 }));
  real.key = (await real.mint()).key;
});
after(() => real.close());

async function play(scenario, set = real, name = model.model) {
  const env = { BASE_URL: `${gateway.url}/v1`, KEY: set.key, MODEL: name };
  const { code, signal } = await runToEnd(BINARY, [scenario], { env });
  assert.deepEqual([code, signal], [0, null], `${scenario}: see what the program says above`);
}

for (const scenario of ["plain", "stream", "tools", "embeddings", "errors"]) test(scenario, () => play(scenario));

test("a 429 is an error with its code", async (t) => {
  const set = await stage(t, { policy: { max_retries: 0, hedge: false } });
  await set.upstreams[0].behave("status", { status: 429, headers: [["Retry-After", "1"]] });
  await play("refusal", set, MODEL);
});

test("a stream that breaks off is an error, and what came before it is kept", async (t) => {
  const set = await stage(t);
  await set.upstreams[0].behave("cut", { after_chunks: 3 });
  await play("broken", set, MODEL);
});

test("a client that leaves closes the upstream", async (t) => {
  const set = await stage(t);
  await set.upstreams[0].behave("pace", { chunks: 1000, interval_ms: 20 });
  await play("left", set, MODEL);
  await set.upstreams[0].aborted();
});
