// OpenAI's own client for Node: against the real model server, and against every error.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { Gateway } from "./harness/gateway.mjs";
import { Stage, stage, NO_BREAKER } from "./harness/stage.mjs";
import { randomBytes } from "node:crypto";

const WEATHER = { type: "function", function: { name: "get_weather", description: "Weather of a city.", parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } } };
const TRAP = ["data: [DONE]", "event: error"];

const { model } = JSON.parse(process.env.TIDEGATE_E2E);
const gateway = Gateway.shared();
const real = new Stage(gateway, `sdk-${randomBytes(8).toString("hex")}`);
let client;
let direct;

before(async () => {
  real.servers.push(await real.register({ url: model.url }, { model_name: model.model, max_concurrency: 4, queue_depth: 256 }));
  real.key = (await real.mint()).key;
  client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: real.key, maxRetries: 0 });
  direct = new OpenAI({ baseURL: `${model.url}/v1`, apiKey: "none", maxRetries: 0 });
});
after(() => real.close());

const ask = (content, more = {}) => ({ model: model.model, temperature: 0, messages: [{ role: "user", content }], ...more });
const say = async (content, more) => (await client.chat.completions.create(ask(content, more))).choices[0].message.content;

async function streamed(content, more = {}) {
  let text = "";
  const chunks = [];
  for await (const chunk of await client.chat.completions.create(ask(content, { stream: true, ...more }))) {
    chunks.push(chunk);
    text += chunk.choices[0]?.delta?.content ?? "";
  }
  return { text, chunks };
}

test("chat", async () => {
  const reply = await client.chat.completions.create(ask("Say hello."));
  assert.equal(reply.choices[0].message.content, "Hello! How can I help you today?");
  assert.equal(reply.choices[0].finish_reason, "stop");
  assert.ok(reply.usage.completion_tokens > 0);
  assert.equal(await say("ping"), "pong");
});

test("a stream, without usage as nobody asked for it", async () => {
  const { text, chunks } = await streamed("Say hello.");
  assert.equal(text, "Hello! How can I help you today?");
  assert.ok(chunks.every((chunk) => chunk.choices.length > 0 && !chunk.usage));
  assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
});

test("a stream with usage", async () => {
  const { chunks } = await streamed("Say hello.", { stream_options: { include_usage: true } });
  const [last] = chunks.slice(-1);
  assert.equal(last.choices.length, 0);
  assert.ok(last.usage.completion_tokens > 0);
});

for (const [what, prompt] of [["Unicode", "Reply with unicode."], ["text that looks like SSE", "Reply with SSE trap."], ["no text at all", "Say nothing."], ["a thought", "Think then answer."]]) {
  test(`${what} is the same straight from the server, through the gateway, and streamed`, async () => {
    const straight = (await direct.chat.completions.create(ask(prompt))).choices[0].message;
    const through = (await client.chat.completions.create(ask(prompt))).choices[0].message;
    assert.deepEqual(through, straight);
    const { text } = await streamed(prompt);
    assert.equal(text, straight.content ?? "");
    if (prompt.includes("trap")) assert.ok(TRAP.every((piece) => text.includes(piece)));
  });
}

test("tools: one call and two, plain and streamed", async () => {
  const calls = async (content) => (await client.chat.completions.create(ask(content, { tools: [WEATHER] }))).choices[0].message.tool_calls.map((call) => [call.function.name, JSON.parse(call.function.arguments)]);
  const one = await calls("What is the weather in Paris?");
  assert.deepEqual([one.length, one[0][0]], [1, "get_weather"]);
  assert.match(JSON.stringify(one[0][1]), /Paris/);
  assert.equal((await calls("Weather in London and Oslo?")).length, 2);
  const runner = client.chat.completions.stream(ask("Weather in London and Oslo?", { tools: [WEATHER] }));
  const final = await runner.finalChatCompletion();
  assert.deepEqual(final.choices[0].message.tool_calls.map((call) => call.function.name), ["get_weather", "get_weather"]);
});

test("JSON mode", async () => {
  const text = await say("Reply with JSON.", { response_format: { type: "json_object" } });
  assert.deepEqual(JSON.parse(text), { name: "tiny", value: 42, ok: true, tags: ["a", "b"] });
});

test("completions, plain and streamed", async () => {
  const prompt = { model: model.model, prompt: "ping", max_tokens: 8, temperature: 0 };
  const whole = (await client.completions.create(prompt)).choices[0].text;
  let text = "";
  for await (const chunk of await client.completions.create({ ...prompt, stream: true })) text += chunk.choices[0]?.text ?? "";
  assert.equal(text, whole);
});

test("embeddings, one and many", async () => {
  const one = await client.embeddings.create({ model: model.model, input: "hello" });
  assert.ok(one.data[0].embedding.length > 8);
  const many = await client.embeddings.create({ model: model.model, input: ["hello", "world"], encoding_format: "float" });
  assert.deepEqual([many.data.length, many.data[1].index], [2, 1]);
  assert.deepEqual(many.data[0].embedding.map((x) => x.toFixed(4)), one.data[0].embedding.map((x) => x.toFixed(4)));
});

test("models: list and retrieve", async () => {
  const names = [];
  for await (const one of client.models.list()) names.push(one.id);
  assert.deepEqual(names, [model.model]);
  assert.equal((await client.models.retrieve(model.model)).id, model.model);
});

test("a stream that the client aborts ends at once and frees the slot", async () => {
  const stream = await client.chat.completions.create(ask("Tell me a long story.", { stream: true }));
  for await (const _chunk of stream) break;
  await real.untilServer(0, (server) => server.queue.running === 0, "a free slot");
});

test("errors are the client's own exception types", async (t) => {
  const set = await stage(t, { policy: { ...NO_BREAKER, first_token_timeout_ms: 500, hedge: false } });
  const made = (options = {}) => new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: set.key, maxRetries: 0, ...options });
  const one = made();
  const create = (body = {}, using = one) => using.chat.completions.create({ model: "tiny", messages: [{ role: "user", content: "hi" }], ...body });
  const fails = (promise, type, fields) => assert.rejects(promise, (error) => {
    assert.ok(error instanceof type, `${error.constructor.name}: ${error.message}`);
    for (const [name, value] of Object.entries(fields)) assert.equal(error[name], value, `${name} of ${error.message}`);
    return true;
  });
  await fails(create({}, made({ apiKey: "tg_wrong" })), OpenAI.AuthenticationError, { status: 401, code: "invalid_api_key" });
  await fails(create({ model: "nobody" }), OpenAI.NotFoundError, { status: 404, code: "model_not_found", param: "model" });
  await fails(one.models.retrieve("nobody"), OpenAI.NotFoundError, { status: 404, code: "model_not_found" });
  await fails(create({ model: undefined }), OpenAI.BadRequestError, { status: 400, code: "missing_required_parameter", param: "model" });
  await fails(create({ stream: "yes" }), OpenAI.BadRequestError, { status: 400, param: "stream" });
  const reading = (await set.mint({ scopes: ["read"] })).key;
  await fails(create({}, made({ apiKey: reading })), OpenAI.PermissionDeniedError, { status: 403, code: "insufficient_permissions" });
  const limited = (await set.mint({ requests_per_minute: 1 })).key;
  await create({}, made({ apiKey: limited }));
  await fails(create({}, made({ apiKey: limited })), OpenAI.RateLimitError, { status: 429, code: "rate_limit_exceeded" });
  const [upstream] = set.upstreams;
  await upstream.behave("status", { status: 422 });
  await fails(create(), OpenAI.UnprocessableEntityError, { status: 422 });
  await upstream.behave("status", { status: 500 });
  await fails(create(), OpenAI.InternalServerError, { status: 500 });
  await upstream.behave("html_page");
  await fails(create(), OpenAI.InternalServerError, { status: 502, code: "upstream_invalid_answer" });
  await upstream.behave("hang");
  await fails(create(), OpenAI.InternalServerError, { status: 504, code: "upstream_timeout" });
  await fails(create({}, made({ timeout: 200 })), OpenAI.APIConnectionTimeoutError, {});
  await upstream.behave("cut", { after_chunks: 3 });
  let text = "";
  await fails((async () => {
    for await (const chunk of await create({ stream: true })) text += chunk.choices[0]?.delta?.content ?? "";
  })(), OpenAI.APIError, { code: "upstream_unreachable" });
  assert.equal(text, "w0 w1 w2 ", "what came before the break is kept, and the break is an error");
});

test("the client does not repeat what the gateway has already tried", async (t) => {
  const set = await stage(t, { policy: { ...NO_BREAKER, max_retries: 0, hedge: false } });
  await set.upstreams[0].behave("status", { status: 500 });
  const retrying = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: set.key, maxRetries: 3 });
  await assert.rejects(retrying.chat.completions.create({ model: "tiny", messages: [] }), OpenAI.InternalServerError);
  assert.equal((await set.upstreams[0].posts()).length, 1);
});
