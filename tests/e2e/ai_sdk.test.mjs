// Vercel's AI SDK: text, streams, tools, structured output and embeddings, and what it makes of errors.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { APICallError, Output, embedMany, generateText, streamText, tool } from "ai";
import { z } from "zod";
import { Gateway } from "./harness/gateway.mjs";
import { ANSWER, MODEL, Stage, stage } from "./harness/stage.mjs";

const { model } = JSON.parse(process.env.TIDEGATE_E2E);
const gateway = Gateway.shared();
const real = new Stage(gateway, `ai-sdk-${randomBytes(8).toString("hex")}`);

before(async () => {
  real.servers.push(await real.register({ url: model.url }, { model_name: model.model, max_concurrency: 4 }));
  real.key = (await real.mint()).key;
});
after(() => real.close());

const provider = (key = real.key) => createOpenAICompatible({ name: "tidegate", baseURL: `${gateway.url}/v1`, apiKey: key, includeUsage: true, supportsStructuredOutputs: true });
const asked = (prompt, { name = model.model, key } = {}) => ({ model: provider(key)(name), prompt, temperature: 0, maxRetries: 0 });

const getWeather = tool({ description: "Weather of a city.", inputSchema: z.object({ city: z.string() }) });
const cities = (calls) => calls.map(({ toolName, input }) => [toolName, input.city]);

test("generateText", async () => {
  const { text, finishReason, usage } = await generateText(asked("Say hello."));
  assert.deepEqual([text, finishReason, usage.outputTokens], [ANSWER, "stop", 10]);
});

test("streamText, with usage", async () => {
  const result = streamText(asked("Say hello."));
  const pieces = [];
  for await (const piece of result.textStream) pieces.push(piece);
  assert.equal(pieces.join(""), ANSWER);
  assert.ok(pieces.length > 3);
  assert.deepEqual([await result.finishReason, (await result.usage).outputTokens], ["stop", 10]);
});

test("tools: one call and two, plain and streamed", async () => {
  const tools = { get_weather: getWeather };
  const one = await generateText({ ...asked("What is the weather in Paris?"), tools });
  assert.deepEqual([one.finishReason, cities(one.toolCalls)], ["tool-calls", [["get_weather", "Paris"]]]);
  const two = streamText({ ...asked("Weather in London and Oslo?"), tools });
  assert.deepEqual(cities(await two.toolCalls), [["get_weather", "London"], ["get_weather", "Oslo"]]);
});

test("structured output", async () => {
  const schema = z.object({ name: z.string(), value: z.number().int(), ok: z.boolean(), tags: z.array(z.string()) });
  const { output } = await generateText({ ...asked("Reply with JSON."), output: Output.object({ schema }) });
  assert.deepEqual(output, { name: "tiny", value: 42, ok: true, tags: ["a", "b"] });
});

test("embeddings", async () => {
  const { embeddings } = await embedMany({ model: provider().embeddingModel(model.model), values: ["hello", "world"], maxRetries: 0 });
  assert.deepEqual(embeddings.map((vector) => vector.length), [256, 256]);
});

test("errors carry their status and whether to try again", async () => {
  for (const [options, status] of [[{ key: "tg_wrong" }, 401], [{ name: "nobody" }, 404]]) {
    await assert.rejects(generateText(asked("ping", options)), (error) => {
      assert.ok(APICallError.isInstance(error), String(error));
      assert.deepEqual([error.statusCode, error.isRetryable], [status, false]);
      return true;
    });
  }
});

test("a refusal for a second is waited for", async (t) => {
  const set = await stage(t, { policy: { max_retries: 0, hedge: false } });
  const once = { times: 1, behaviour: { do: "status", status: 429, headers: [["Retry-After", "1"]] } };
  await set.upstreams[0].script(once);
  await assert.rejects(generateText(asked("ping", { name: MODEL, key: set.key })), (error) => APICallError.isInstance(error) && error.statusCode === 429 && error.isRetryable);
  await set.upstreams[0].script(once);
  const { text } = await generateText({ ...asked("ping", { name: MODEL, key: set.key }), maxRetries: 4 });
  assert.equal(text, ANSWER);
});

test("a stream that is aborted closes the upstream", async (t) => {
  const set = await stage(t);
  await set.upstreams[0].behave("pace", { chunks: 1000, interval_ms: 20 });
  const abort = new AbortController();
  const { textStream } = streamText({ ...asked("Tell me a long story.", { name: MODEL, key: set.key }), abortSignal: abort.signal, onError: () => {} });
  for await (const piece of textStream) if (piece !== "") abort.abort();
  await set.upstreams[0].aborted();
  await set.untilServer(0, (server) => server.queue.running === 0, "a free slot");
});

test("a stream that breaks off is an error, and what came before it is kept", async (t) => {
  const set = await stage(t);
  await set.upstreams[0].behave("cut", { after_chunks: 3 });
  const parts = [];
  const { fullStream } = streamText({ ...asked("ping", { name: MODEL, key: set.key }), onError: () => {} });
  for await (const part of fullStream) parts.push(part);
  const text = parts.filter((part) => part.type === "text-delta").map((part) => part.text).join("");
  assert.equal(text, "w0 w1 w2 ");
  const [error] = parts.filter((part) => part.type === "error");
  assert.match(String(error?.error?.message ?? error?.error), /broke before the answer was complete/);
});
