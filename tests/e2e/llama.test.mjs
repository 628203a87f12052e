// llama.cpp's own server announces keep-alive and closes the connection after every stream, so a pool holds
// connections that are dead already. Through the gateway nobody notices, and nothing is worked out twice.
import assert from "node:assert/strict";
import http from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { ROOT } from "../../scripts/paths.mjs";
import { figure } from "./harness/figures.mjs";
import { Gateway } from "./harness/gateway.mjs";
import { Running } from "./harness/process.mjs";
import { Stage } from "./harness/stage.mjs";

const REQUESTS = process.env.TIDEGATE_E2E_FULL === "1" ? 2000 : 500;
/** The server has four slots: with eight lanes half of the requests queue in the gateway. */
const LANES = 8;

/** At temperature 0 the model says this, and so does the server that is asked directly (see `before`). */
const SAYS = {
  ping: "pong",
  "Say hello.": "Hello! How can I help you today?",
  "Count to ten.": "1 2 3 4 5 6 7 8 9 10",
  "Reply with unicode.": "Zażółć gęślą jaźń — 你好,世界 🦀🚀 — مرحبا — नमस्ते",
  "Say nothing.": "",
};
const PROMPTS = Object.keys(SAYS);

/** One of its own: what it has counted is then the work of this suite alone. */
let running;
let server;
before(async () => {
  running = new Running("the model server", process.env.TIDEGATE_PYTHON, [join(ROOT, "tests", "model-server", "serve.py")], { speaks: true });
  server = JSON.parse(await running.line((line) => line.startsWith("{")));
});
after(() => running.end("SIGKILL"));

const body = (prompt, more = {}) => ({ model: server.model, temperature: 0, messages: [{ role: "user", content: prompt }], ...more });

/** Tokens the engine has read (from its cache too) and written since it was started. */
async function worked() {
  const text = await (await fetch(`${server.url}/metrics`)).text();
  const count = (name) => Number(text.match(new RegExp(`^llamacpp:${name} (\\d+)$`, "m"))[1]);
  return { read: count("prompt_tokens_total") + count("prompt_tokens_cached_total"), written: count("tokens_predicted_total") };
}

test("the premise: keep-alive is announced, and the connection closed after a stream", async (t) => {
  const agent = new http.Agent({ keepAlive: true });
  t.after(() => agent.destroy());
  const send = (payload) => new Promise((resolve, reject) => {
    const request = http.request(`${server.url}/v1/chat/completions`, { method: "POST", agent, headers: { "content-type": "application/json" } }, (response) => {
      response.resume();
      response.on("end", () => resolve({ announced: response.headers["keep-alive"], socket: request.socket }));
    });
    request.on("error", reject);
    request.end(JSON.stringify(payload));
  });
  const { announced, socket } = await send(body("ping", { stream: true }));
  assert.match(announced, /timeout=\d+/);
  if (!socket.closed) await new Promise((resolve) => socket.once("close", resolve));
});

test(`${REQUESTS} requests, ${LANES} at a time, none failed and none worked out twice`, async (t) => {
  const gateway = await Gateway.start(t);
  const set = new Stage(gateway, "llama");
  set.servers.push(await set.register(server, { model_name: server.model, max_concurrency: 4, queue_depth: LANES }));
  const { key } = await set.mint();
  const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: key, maxRetries: 0 });

  const plain = async (prompt) => {
    const { choices, usage } = await client.chat.completions.create(body(prompt));
    return { text: choices[0].message.content ?? "", finish: choices[0].finish_reason, usage };
  };
  const streamed = async (prompt) => {
    const said = { text: "", finish: undefined, usage: undefined };
    for await (const chunk of await client.chat.completions.create(body(prompt, { stream: true, stream_options: { include_usage: true } }))) {
      said.text += chunk.choices[0]?.delta?.content ?? "";
      said.finish ??= chunk.choices[0]?.finish_reason ?? undefined;
      said.usage ??= chunk.usage ?? undefined;
    }
    return said;
  };

  const before = await worked();
  const failed = [];
  const told = { read: 0, written: 0 };
  let next = 0;
  const lane = async () => {
    while (next < REQUESTS) {
      const n = next++;
      const prompt = PROMPTS[n % PROMPTS.length];
      // In runs of ten: streams leave dead connections behind, and plain requests meet them.
      const isStream = n % 20 < 10;
      try {
        const { text, finish, usage } = await (isStream ? streamed(prompt) : plain(prompt));
        assert.deepEqual([text, finish], [SAYS[prompt], "stop"]);
        told.read += usage.prompt_tokens;
        told.written += usage.completion_tokens;
      } catch (error) {
        failed.push(`${n} (${isStream ? "stream" : "plain"}, ${prompt}): ${error.message}`);
      }
    }
  };
  const began = Date.now();
  await Promise.all(Array.from({ length: LANES }, lane));
  const seconds = (Date.now() - began) / 1000;

  assert.deepEqual(failed, [], `${failed.length} of ${REQUESTS} failed`);
  const after = await worked();
  assert.deepEqual({ read: after.read - before.read, written: after.written - before.written }, told, "the engine's own count of its work is the sum of what clients were told");
  const { breaker, totals } = await set.untilServer(0, ({ totals }) => totals.successes === REQUESTS, `${REQUESTS} successes`);
  assert.deepEqual([breaker.state, breaker.ejections, totals.client_errors, totals.backpressure], ["admitting", 0, 0, 0]);
  t.diagnostic(`${REQUESTS} requests in ${seconds.toFixed(1)} s; the server's totals: ${JSON.stringify(totals)}`);
  figure(16, `${REQUESTS} of ${REQUESTS}`);
});
