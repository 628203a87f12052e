// Recorded answers of llama.cpp, vLLM and transformers serve (wire/openai/tests/recordings), sent again by a
// scripted upstream in the very chunks they came in: what leaves the gateway is one dialect.
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT } from "../../scripts/paths.mjs";
import { told } from "./harness/http.mjs";
import { NO_BREAKER, assertEnvelope, stage } from "./harness/stage.mjs";

const RECORDINGS = join(ROOT, "wire", "openai", "tests", "recordings");
const ENGINES = ["llama-cpp", "vllm", "transformers"];
const PATHS = { chat: "/v1/chat/completions", completions: "/v1/completions", embeddings: "/v1/embeddings" };
const HELLO = "Hello! How can I help you today?";

/** Status, content type, and the body in its chunks. */
function recording(engine, name) {
  const raw = readFileSync(join(RECORDINGS, engine, `${name}.http`));
  const end = raw.indexOf("\r\n\r\n");
  const [line, ...lines] = raw.subarray(0, end).toString("latin1").split("\r\n");
  const headers = Object.fromEntries(lines.map((text) => [text.slice(0, text.indexOf(":")).toLowerCase(), text.slice(text.indexOf(":") + 1).trim()]));
  const chunks = [];
  let rest = raw.subarray(end + 4);
  if (headers["transfer-encoding"] === undefined) chunks.push(rest);
  else {
    for (;;) {
      const at = rest.indexOf("\r\n");
      const size = Number.parseInt(rest.subarray(0, at).toString("latin1"), 16);
      if (size === 0) break;
      chunks.push(rest.subarray(at + 2, at + 2 + size));
      rest = rest.subarray(at + 2 + size + 2);
    }
  }
  return { status: Number(line.split(" ")[1]), contentType: headers["content-type"], chunks };
}

const names = (engine) => readdirSync(join(RECORDINGS, engine)).filter((file) => file.endsWith(".http")).map((file) => file.slice(0, -".http".length));
/** What speaks other protocols, or goes past the gateway. */
const OTHERS = /^(responses|messages|count-tokens|tokenize|detokenize|rerank|score|models|no-route|wrong-method)/;
/** Most errors were asked of chat. */
const route = (name) => Object.keys(PATHS).find((word) => name.includes(word)) ?? "chat";

for (const engine of ENGINES) {
  test(`${engine}: every recorded answer leaves in OpenAI's dialect`, async (t) => {
    const set = await stage(t, { policy: { ...NO_BREAKER, max_retries: 0, hedge: false } });
    const replay = (name, path) => {
      const { status, contentType, chunks } = recording(engine, name);
      const parts = chunks.map((chunk, n) => ({ wait_ms: n % 5 === 4 ? 1 : 0, base64: chunk.toString("base64") }));
      return set.upstreams[0].behave("raw", { status, content_type: contentType, parts }, { path });
    };
    const seen = { streams: 0, answers: 0, errors: 0 };
    for (const name of names(engine).filter((known) => !OTHERS.test(known))) {
      const path = PATHS[route(name)];
      await replay(name, path);
      const { status } = recording(engine, name);
      const input = { chat: {}, completions: { prompt: "ping", messages: undefined }, embeddings: { input: "hello", messages: undefined } }[route(name)];
      const wantsUsage = name.includes("usage");
      const stream = name.includes("stream");
      const reply = await set.ask({ ...input, ...(stream ? { stream: true } : {}), ...(stream && wantsUsage ? { stream_options: { include_usage: true } } : {}) }, { path });
      const about = `${engine}/${name}: ${reply.text.slice(0, 300)}`;
      assert.equal(reply.end, "complete", about);
      if (status !== 200) {
        assert.ok(reply.status >= 400, about);
        assertEnvelope(reply.json.error, about);
        seen.errors += 1;
      } else if (stream) {
        const said = told(reply.text);
        assert.deepEqual([reply.status, said.done, said.error], [200, true, undefined], about);
        assert.equal(said.payloads.filter((payload) => payload === "[DONE]").length, 1, about);
        assert.ok(said.finish, about);
        assert.ok(said.payloads.every((payload) => payload !== null), about);
        const counts = said.payloads.filter((payload) => payload.usage && payload.choices.length === 0);
        if (!wantsUsage) assert.equal(counts.length, 0, about);
        if (wantsUsage) assert.ok(said.payloads.findLast((payload) => payload.usage).usage.completion_tokens > 0, about);
        seen.streams += 1;
      } else {
        assert.equal(reply.status, 200, about);
        assert.match(reply.headers["content-type"], /^application\/json/, about);
        assert.ok(reply.json.choices?.length > 0 || reply.json.data?.length > 0, about);
        seen.answers += 1;
      }
    }
    assert.ok(seen.streams >= 12 && seen.answers >= 12 && seen.errors >= 5, JSON.stringify(seen));
    t.diagnostic(`${engine}: ${JSON.stringify(seen)}`);
  });
}

test("the three say one text, and no client sees which it was", async (t) => {
  const set = await stage(t, { policy: { ...NO_BREAKER, max_retries: 0, hedge: false } });
  const texts = {};
  for (const engine of ENGINES) {
    for (const name of ["chat-stream", "chat-unicode-stream", "chat-sse-trap-stream"]) {
      const { contentType, chunks } = recording(engine, name);
      await set.upstreams[0].behave("raw", { content_type: contentType, parts: chunks.map((chunk) => ({ base64: chunk.toString("base64") })) });
      (texts[name] ??= []).push(told((await set.stream()).text).text);
    }
  }
  for (const [name, said] of Object.entries(texts)) assert.deepEqual(said, Array(ENGINES.length).fill(said[0]), name);
  assert.equal(texts["chat-stream"][0], HELLO);
});

/** Status of the plain ones and the last event of the streamed ones, where the engine has the route. */
const TYPED = {
  responses: { path: "/v1/responses", body: { input: "Say hello.", messages: undefined }, last: "response.completed", text: (answer) => answer.output.find((item) => item.type === "message").content[0].text },
  messages: { path: "/v1/messages", body: { max_tokens: 64 }, last: "message_stop", text: (answer) => answer.content[0].text },
};

test("responses and Anthropic's messages: one answer where one was asked for, named events where a stream was", async (t) => {
  const set = await stage(t, { policy: { ...NO_BREAKER, max_retries: 0, hedge: false } });
  let answers = 0;
  for (const engine of ENGINES) {
    for (const [name, { path, body, last, text }] of Object.entries(TYPED)) {
      for (const stream of [false, true]) {
        const { status, contentType, chunks } = recording(engine, stream ? `${name}-stream` : name);
        if (status !== 200) continue;
        await set.upstreams[0].behave("raw", { content_type: contentType, parts: chunks.map((chunk) => ({ base64: chunk.toString("base64") })) }, { path });
        const reply = await set.ask({ ...body, ...(stream ? { stream } : {}) }, { path });
        const about = `${engine}/${name}: ${reply.text.slice(0, 300)}`;
        assert.deepEqual([reply.end, reply.status], ["complete", 200], about);
        if (stream) {
          const frames = reply.text.trimEnd().split("\n\n");
          assert.ok(frames.every((frame) => /^event: \S+\ndata: \{/.test(frame)), about);
          assert.ok(frames.at(-1).startsWith(`event: ${last}\n`), frames.at(-1));
        } else {
          // transformers serve streams a response to whoever does not forbid it.
          assert.match(reply.headers["content-type"], /^application\/json/, about);
          assert.equal(text(reply.json), HELLO, about);
        }
        answers += 1;
      }
    }
  }
  assert.equal(answers, 10);
});
