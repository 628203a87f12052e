// The routes beside chat: responses, Anthropic's messages, rerank, moderations, images, tokens. Against the
// real model server as far as it has them, else against scripted ones.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import OpenAI from "openai";
import { Gateway } from "./harness/gateway.mjs";
import { exchange } from "./harness/http.mjs";
import { NO_BREAKER, Stage, refused, stage } from "./harness/stage.mjs";

const RESPONSES = "/v1/responses";
const { model } = JSON.parse(process.env.TIDEGATE_E2E);
const gateway = Gateway.shared();
const real = new Stage(gateway, `breadth-${randomBytes(8).toString("hex")}`);
let client;

before(async () => {
  real.servers.push(await real.register({ url: model.url }, { model_name: model.model, max_concurrency: 4, queue_depth: 256 }));
  real.key = (await real.mint()).key;
  client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: real.key, maxRetries: 0 });
});
after(() => real.close());

const at = (set, method, path, body, headers = {}) =>
  exchange(gateway.url, {
    method,
    path,
    headers: { authorization: `Bearer ${set.key}`, "content-type": "application/json", ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  });

/** The members that the specification of Open Responses asks for. */
const REQUIRED = "id object created_at completed_at status incomplete_details model previous_response_id instructions output error tools tool_choice truncation parallel_tool_calls text top_p presence_penalty frequency_penalty top_logprobs temperature reasoning usage max_output_tokens max_tool_calls store background service_tier metadata safety_identifier prompt_cache_key".split(" ");

const events = (text) =>
  text
    .split("\n\n")
    .map((frame) => frame.split("\n").find((line) => line.startsWith("data: ")))
    .filter((line) => line !== undefined)
    .map((line) => JSON.parse(line.slice(6)));

test("a response has the whole shape, and what the request said", async () => {
  const response = await client.responses.create({ model: model.model, input: "Say hello.", temperature: 0, instructions: "Be kind." });
  assert.equal(response.output_text, "Hello! How can I help you today?");
  for (const name of REQUIRED) assert.ok(name in response, name);
  assert.deepEqual([response.temperature, response.instructions, response.store, response.error], [0, "Be kind.", true, null]);
  assert.ok(response.id.endsWith(`~${real.servers[0]}`), response.id);
  assert.ok(response.usage.input_tokens > 0);
});

test("a streamed response can be put together by OpenAI's own helper", async () => {
  const seen = [];
  const runner = client.responses.stream({ model: model.model, input: "Say hello.", temperature: 0 });
  for await (const event of runner) seen.push(event);
  const final = await runner.finalResponse();
  assert.equal(final.output_text, "Hello! How can I help you today?");
  assert.deepEqual(seen.map((event) => event.sequence_number), seen.map((_, n) => n));
  for (const event of seen.filter((event) => event.response)) for (const name of REQUIRED) assert.ok(name in event.response, `${event.type} lacks ${name}`);
});

test("a response calls tools", async () => {
  const tools = [{ type: "function", name: "get_weather", description: "Weather of a city.", strict: false, parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } }];
  const stream = await client.responses.create({ model: model.model, input: "What is the weather in Paris?", temperature: 0, tools, stream: true });
  let completed;
  for await (const event of stream) if (event.type === "response.completed") completed = event.response;
  assert.deepEqual(completed.output.map((item) => [item.type, item.name]), [["function_call", "get_weather"]]);
  assert.deepEqual(completed.tools, tools);
});

test("the real server says itself that it keeps no responses", async () => {
  const { id } = await client.responses.create({ model: model.model, input: "ping", temperature: 0 });
  const reply = await at(real, "POST", RESPONSES, { model: model.model, input: "ping", previous_response_id: id });
  assert.match(refused(reply, 400).message, /previous_response_id/);
  refused(await at(real, "GET", `${RESPONSES}/${id}`), 404, "endpoint_not_supported");
});

test("messages, plain, streamed and counted", async () => {
  const body = { model: model.model, max_tokens: 64, temperature: 0, messages: [{ role: "user", content: "Say hello." }] };
  const headers = { authorization: "", "x-api-key": real.key, "anthropic-version": "2023-06-01" };
  const whole = await at(real, "POST", "/v1/messages", body, headers);
  assert.equal(whole.json.content[0].text, "Hello! How can I help you today?");
  const streamed = await at(real, "POST", "/v1/messages", { ...body, stream: true }, headers);
  const told = events(streamed.text);
  assert.equal(told.at(-1).type, "message_stop");
  const text = told.filter((event) => event.type === "content_block_delta").map((event) => event.delta.text);
  assert.equal(text.join(""), whole.json.content[0].text);
  const counted = await at(real, "POST", "/v1/messages/count_tokens", body, headers);
  assert.ok(counted.json.input_tokens > 0, counted.text);
});

test("tokens there and back", async () => {
  const there = await at(real, "POST", "/tokenize", { model: model.model, content: "Say hello." });
  assert.ok(there.json.tokens.length > 1, there.text);
  const back = await at(real, "POST", "/detokenize", { model: model.model, tokens: there.json.tokens });
  assert.equal(back.json.content, "Say hello.");
});

test("routes that the server does not have say so, and cost it nothing", async () => {
  for (const [path, body] of [["/v1/moderations", { input: "x" }], ["/v1/images/generations", { prompt: "x" }], ["/v1/rerank", { query: "x", documents: ["y"] }], ["/v2/rerank", { query: "x", documents: ["y"] }]]) {
    for (let n = 0; n < 6; n += 1) {
      const error = refused(await at(real, "POST", path, { model: model.model, ...body }), 404, "endpoint_not_supported");
      assert.match(error.message, /does not have the route/);
    }
  }
  assert.equal((await client.responses.create({ model: model.model, input: "ping", temperature: 0 })).output_text, "pong");
  assert.equal((await real.server()).status, "healthy");
});

// Servers that keep responses.

const keeps = (id) => ({ path: RESPONSES, behaviour: { do: "raw", content_type: "application/json", parts: [{ utf8: JSON.stringify({ id, object: "response", status: "completed", output: [] }) }] } });
const json = (path, body) => ({ path, behaviour: { do: "raw", content_type: "application/json", parts: [{ utf8: JSON.stringify(body) }] } });

/** Two servers that keep what they make, and the tagged id of a response at each. */
async function keepers(t, options = {}) {
  const set = await stage(t, { servers: 2, policy: NO_BREAKER, ...options });
  for (const [n, upstream] of set.upstreams.entries()) {
    const id = `resp_${n}`;
    const below = (rest) => `${RESPONSES}/${id}${rest}`;
    await upstream.script(keeps(id), json(below("/cancel"), { id, object: "response", status: "cancelled", output: [] }), json(below("/input_items"), { object: "list", data: [{ id: "msg_1" }] }), json(below(""), { id, object: "response", status: "completed", output: [] }));
  }
  return set;
}

test("what goes on from a response goes to the server that holds it, and to no other", async (t) => {
  const set = await keepers(t);
  const held = new Map();
  for (let n = 0; held.size < 2 && n < 40; n += 1) {
    const { json } = await at(set, "POST", RESPONSES, { model: "tiny", input: "x" });
    held.set(json.id.split("~")[0], json.id);
  }
  assert.deepEqual([...held.keys()].sort(), ["resp_0", "resp_1"]);
  const before = await Promise.all(set.upstreams.map(async (upstream) => (await upstream.posts()).length));
  for (const tagged of held.values()) {
    for (let n = 0; n < 5; n += 1) {
      const reply = await at(set, "POST", RESPONSES, { model: "tiny", input: "y", previous_response_id: tagged });
      assert.equal(reply.status, 200, reply.text);
      assert.equal(reply.headers["x-gateway-server-id"], tagged.split("~")[1]);
      assert.equal(reply.json.previous_response_id, tagged);
    }
  }
  for (const [n, upstream] of set.upstreams.entries()) {
    const posts = (await upstream.posts()).slice(before[n]);
    assert.equal(posts.length, 5);
    const bodies = posts.map((post) => JSON.parse(post.body ?? "null"));
    assert.ok(bodies.every((body) => body === null || body.previous_response_id === `resp_${n}`), JSON.stringify(bodies));
  }
});

test("a stored response is shown, cancelled, listed and deleted where it is", async (t) => {
  const set = await keepers(t);
  const { id } = (await at(set, "POST", RESPONSES, { model: "tiny", input: "x" })).json;
  const n = Number(id.slice("resp_".length, "resp_0".length));
  assert.equal((await at(set, "GET", `${RESPONSES}/${id}?include[]=a`)).json.id, id);
  assert.equal((await at(set, "POST", `${RESPONSES}/${id}/cancel`)).json.status, "cancelled");
  assert.deepEqual((await at(set, "GET", `${RESPONSES}/${id}/input_items?limit=1`)).json.data, [{ id: "msg_1" }]);
  await set.upstreams[n].script(json(`${RESPONSES}/resp_${n}`, { id: `resp_${n}`, object: "response", deleted: true }));
  assert.deepEqual((await at(set, "DELETE", `${RESPONSES}/${id}`)).json, { id, object: "response", deleted: true });
  const about = (requests) => requests.filter((entry) => entry.path.startsWith(`${RESPONSES}/`));
  const { requests } = await set.upstreams[n].journal();
  assert.deepEqual(
    about(requests).map((entry) => `${entry.method} ${entry.path}`),
    [`GET ${RESPONSES}/resp_${n}`, `POST ${RESPONSES}/resp_${n}/cancel`, `GET ${RESPONSES}/resp_${n}/input_items`, `DELETE ${RESPONSES}/resp_${n}`],
  );
  assert.deepEqual(about((await set.upstreams[1 - n].journal()).requests), []);
});

test("nobody else is asked when that server is gone, and ids that were made up lead nowhere", async (t) => {
  const set = await keepers(t);
  const { id } = (await at(set, "POST", RESPONSES, { model: "tiny", input: "x" })).json;
  const n = Number(id.slice("resp_".length, "resp_0".length));
  const other = set.upstreams[1 - n];
  const before = (await other.posts()).length;
  const more = (previous) => at(set, "POST", RESPONSES, { model: "tiny", input: "y", previous_response_id: previous });

  for (const made of [`${id}0`, "resp_0", `resp_0~srv_${"0".repeat(22)}`]) refused(await more(made), 400, "previous_response_not_found");
  await set.upstreams[n].end();
  assert.ok([502, 503].includes((await more(id)).status));
  await set.demand(200, "DELETE", `register/${set.servers[n]}`);
  refused(await more(id), 400, "previous_response_not_found");
  refused(await at(set, "GET", `${RESPONSES}/${id}`), 404, "not_found");
  assert.equal((await other.posts()).length, before);
});

test("typed streams that are cut end with one error of their own dialect and no last event", async (t) => {
  const set = await stage(t, { policy: NO_BREAKER });
  const event = (data) => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
  const cut = (path, ...data) => ({ path, behaviour: { do: "raw", content_type: "text/event-stream", parts: data.map((one) => ({ utf8: event(one) })), cut: "fin" } });
  await set.upstreams[0].script(
    cut(RESPONSES, { type: "response.created", response: { id: "resp_0" } }, { type: "response.output_text.delta", item_id: "m", delta: "On" }),
    cut("/v1/messages", { type: "message_start", message: { id: "m" } }, { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "On" } }),
    cut("/v1/images/generations", { type: "image_generation.partial_image", b64_json: "eA==", partial_image_index: 0 }),
  );
  for (const [path, body] of [[RESPONSES, { input: "x" }], ["/v1/messages", { messages: [], max_tokens: 9 }], ["/v1/images/generations", { prompt: "x" }]]) {
    const reply = await at(set, "POST", path, { model: "tiny", stream: true, ...body });
    assert.equal(reply.status, 200, reply.text);
    const told = events(reply.text);
    assert.equal(told.filter((one) => one.type === "error").length, 1, reply.text);
    assert.equal(told.at(-1).type, "error");
    assert.ok(told.at(-1).error.message);
    assert.doesNotMatch(reply.text, /response\.completed|message_stop|\[DONE\]/);
  }
});

test("images stream, and whole answers of every route keep their bytes", async (t) => {
  const set = await stage(t, { policy: NO_BREAKER });
  const pictures = ["partial_image", "completed"].map((what) => `event: image_generation.${what}\ndata: ${JSON.stringify({ type: `image_generation.${what}`, b64_json: "eA==" })}\n\n`);
  const answers = {
    "/v1/rerank": '{ "id":"r", "results":[ {"index":0,"relevance_score":0.50} ] }',
    "/v1/moderations": '{"id":"m","results":[{"flagged":false}]}',
    "/tokenize": '{"count":2,"max_model_len":8,"tokens":[1,2]}',
    "/detokenize": '{"prompt":"x"}',
  };
  await set.upstreams[0].script(
    { path: "/v1/images/generations", behaviour: { do: "raw", content_type: "text/event-stream", parts: pictures.map((utf8) => ({ utf8 })) } },
    ...Object.entries(answers).map(([path, utf8]) => ({ path, behaviour: { do: "raw", content_type: "application/json", parts: [{ utf8 }] } })),
  );
  const streamed = await at(set, "POST", "/v1/images/generations", { model: "tiny", prompt: "x", stream: true, partial_images: 1 });
  assert.equal(streamed.text, pictures.join(""));
  for (const [path, answer] of Object.entries(answers)) {
    const reply = await at(set, "POST", path, { model: "tiny", input: "x", query: "x", documents: ["y"], content: "x", tokens: [1] });
    assert.deepEqual([reply.status, reply.text], [200, answer], path);
  }
});

test("Anthropic's routes tell errors as Anthropic does", async (t) => {
  const set = await stage(t, { policy: NO_BREAKER });
  const told = (reply, status, type) => {
    assert.equal(reply.status, status, reply.text);
    assert.deepEqual([reply.json.type, reply.json.error.type], ["error", type]);
    assert.equal(reply.json.request_id, reply.headers["x-request-id"]);
  };
  const body = { model: "tiny", max_tokens: 9, messages: [{ role: "user", content: "x" }] };
  told(await at(set, "POST", "/v1/messages", body, { authorization: "Bearer tg_nope" }), 401, "authentication_error");
  told(await at(set, "POST", "/v1/messages", { ...body, model: "nope" }), 404, "not_found_error");
  told(await at(set, "POST", "/v1/messages", { model: "tiny" }), 400, "invalid_request_error");
  await set.upstreams[0].script({ path: "/v1/messages", behaviour: { do: "status", status: 500, body: { type: "error", error: { type: "api_error", message: "Boom" } } } });
  told(await at(set, "POST", "/v1/messages", body), 500, "api_error");
});
