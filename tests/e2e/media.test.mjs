// Bodies that are not JSON: forms with files in, sound and subtitles out.
import assert from "node:assert/strict";
import { test } from "node:test";
import OpenAI, { toFile } from "openai";
import { FORM, Sending, form, noise, sha256 } from "./harness/form.mjs";
import { Gateway } from "./harness/gateway.mjs";
import { now } from "./harness/http.mjs";
import { MODEL, NO_BREAKER, refused, stage } from "./harness/stage.mjs";

const MIB = 1024 * 1024;
const TRANSCRIBE = "/v1/audio/transcriptions";
const SPEAK = "/v1/audio/speech";
const SAID = "Hello! How can I help you today?";

const upload = (set, body, options = {}) => set.ask(body, { path: TRANSCRIBE, headers: FORM, ...options });
const speech = { model: MODEL, voice: "alloy", input: "Say hello." };

function transcribed(reply, sent) {
  assert.equal(reply.end, "complete", `ended ${reply.end}: ${reply.error}`);
  assert.equal(reply.status, 200, reply.text.slice(0, 500));
  assert.equal(reply.json.text, SAID);
  assert.deepEqual([reply.json.body_bytes, reply.json.body_sha256], [sent.length, sha256(sent)], "every byte as it was sent");
}

/** A large upload whose beginning has arrived at the server's gate. */
async function begun(set, { size = 20 * MIB } = {}) {
  const body = form(["model", MODEL], ["file", noise(size)]);
  const sending = new Sending(set.gateway.url, { path: TRANSCRIBE, headers: { authorization: `Bearer ${set.key}`, ...FORM }, length: body.length });
  await sending.write(body.subarray(0, 3 * MIB));
  await set.untilServer(0, (server) => server.leases.length === 1, "a lease");
  return { body, sending };
}

test("small and large forms reach the server byte for byte", async (t) => {
  const set = await stage(t);
  for (const size of [1, 100_000, 3 * MIB, 20 * MIB]) {
    const modelFirst = form(["model", MODEL], ["file", noise(size)], ["temperature", "0"]);
    transcribed(await upload(set, modelFirst), modelFirst);
    const fileFirst = form(["file", noise(size)], ["model", MODEL]);
    transcribed(await upload(set, fileFirst), fileFirst);
  }
  const chunked = form(["model", MODEL], ["file", noise(6 * MIB)]);
  const pieces = [chunked.subarray(0, 1000), chunked.subarray(1000, 5 * MIB), chunked.subarray(5 * MIB)];
  const reply = await set.ask({}, { path: TRANSCRIBE, headers: FORM, body: pieces });
  transcribed(reply, chunked);
});

test("a model with another name is spliced and nothing else", async (t) => {
  const set = await stage(t, { servers: [{ model_name: "speech", upstream_model: MODEL }] });
  for (const size of [1000, 20 * MIB]) {
    for (const order of [(fields) => fields, (fields) => fields.reverse()]) {
      const fields = (model) => order([["model", model], ["file", noise(size)]]);
      transcribed(await upload(set, form(...fields("speech"))), form(...fields(MODEL)));
    }
  }
});

test("a transcript comes in the format that was asked for, or as a stream", async (t) => {
  const set = await stage(t);
  const ask = (...more) => upload(set, form(["file", noise(1000)], ["model", MODEL], ...more));
  const text = await ask(["response_format", "text"]);
  assert.deepEqual([text.status, text.text, text.headers["content-type"]], [200, `${SAID}\n`, "text/plain; charset=utf-8"]);
  const srt = await ask(["response_format", "srt"]);
  assert.match(srt.text, /^1\n00:00:00,000 --> /);
  const vtt = await ask(["response_format", "vtt"]);
  assert.match(vtt.text, /^WEBVTT\n/);
  assert.equal(vtt.headers["content-type"], "text/vtt");
  const stream = await ask(["stream", "true"]);
  assert.match(stream.headers["content-type"], /^text\/event-stream/);
  const events = stream.text.trimEnd().split("\n\n").map((event) => JSON.parse(event.replace(/^data: /, "")));
  assert.deepEqual(events.at(-1), { type: "transcript.text.done", text: SAID });
  await set.upstreams[0].script({ path: null, behaviour: { do: "html_page" } });
  refused(await ask(["response_format", "text"]), 502, "upstream_invalid_answer");
});

test("a small form moves on to another server, a large one until something of it has left", async (t) => {
  const set = await stage(t, { servers: 2, policy: NO_BREAKER });
  for (const body of [form(["model", MODEL], ["file", noise(MIB)]), form(["model", MODEL], ["file", noise(20 * MIB)])]) {
    await set.upstreams[0].accepting("refuse", { close_existing: true });
    for (let round = 0; round < 4; round += 1) transcribed(await upload(set, body), body);
    await set.upstreams[0].accepting("normal");
  }
  await set.upstreams[0].script({ path: null, behaviour: { do: "close" } });
  const small = form(["model", MODEL], ["file", noise(MIB)]);
  for (let round = 0; round < 4; round += 1) transcribed(await upload(set, small), small);
});

test("a client that leaves in the middle of its upload frees the lease and blames nobody", async (t) => {
  const set = await stage(t, { servers: [{ max_concurrency: 1, queue_depth: 0 }] });
  const { sending } = await begun(set);
  const left = sending.leave();
  const { breaker, totals } = await set.untilServer(0, (server) => server.leases.length === 0 && server.queue.running === 0, "a free slot");
  const took = now() - left;
  assert.ok(took < 1000, `the slot was free after ${took.toFixed(0)} ms`);
  assert.deepEqual([breaker.consecutive_failures, totals.failures], [0, 0]);
  const body = form(["model", MODEL], ["file", noise(1000)]);
  transcribed(await upload(set, body), body);
});

test("a client that stalls in its upload is told, and the server is free", async (t) => {
  const set = await stage(t, { policy: { idle_timeout_ms: 700 } });
  const { sending } = await begun(set);
  const { status, text } = await sending.answer;
  assert.equal(status, 408, text);
  assert.equal(JSON.parse(text).error.code, "upload_stalled");
  const { breaker, totals } = await set.untilServer(0, (server) => server.leases.length === 0, "a free slot");
  assert.deepEqual([breaker.consecutive_failures, totals.failures], [0, 0]);
  sending.leave();
});

test("a server that dies in the middle of an upload is at fault, and the client is told", async (t) => {
  const set = await stage(t, { policy: NO_BREAKER });
  const { sending, body } = await begun(set);
  await set.upstreams[0].end();
  sending.request.end(body.subarray(3 * MIB));
  const { status, text } = await sending.answer;
  assert.equal(status, 502, text);
  assert.equal(JSON.parse(text).error.code, "upstream_unreachable");
  await set.untilServer(0, (server) => server.totals.failures === 1 && server.leases.length === 0, "one failure");
});

test("a server that takes none of an upload is too slow, and its client is not", async (t) => {
  const set = await stage(t, { policy: { ...NO_BREAKER, first_token_timeout_ms: 1500, max_retries: 0 } });
  await set.upstreams[0].accepting("ignore", { close_existing: true });
  const body = form(["model", MODEL], ["file", noise(20 * MIB)]);
  refused(await upload(set, body), 504, "upstream_timeout");
  await set.untilServer(0, (server) => server.totals.failures === 1, "one failure");
});

test("what is no form, or too long, is refused in OpenAI's words", async (t) => {
  const set = await stage(t);
  refused(await upload(set, Buffer.from("rubbish")), 400, "invalid_multipart");
  refused(await upload(set, form(["model", MODEL], ["file", noise(10)]).subarray(0, -10)), 400, "invalid_multipart");
  refused(await set.ask({}, { path: TRANSCRIBE }), 400, "invalid_multipart");
  assert.equal(refused(await upload(set, form(["file", noise(10)])), 400, "missing_required_parameter").param, "model");
  refused(await upload(set, form(["model", "nobody"], ["file", noise(10)])), 404, "model_not_found");
  refused(await upload(set, form(["model", MODEL], ["file", noise(6 * MIB)], ["model", "other"])), 400, "duplicate_parameter");
  const late = refused(await upload(set, form(["file", noise(33 * MIB)], ["model", MODEL])), 413, "request_too_large");
  assert.match(late.message, /Send `model` before the file/);
  refused(await upload(set, form(["model", MODEL], ["file", noise(101 * MIB)])), 413, "request_too_large");
  assert.equal((await set.upstreams[0].posts()).length, 0);
});

test("sound passes as it comes", async (t) => {
  const set = await stage(t);
  await set.upstreams[0].behave("pace", { chunks: 20, chunk_chars: 10_000, interval_ms: 30 }, { path: SPEAK });
  const reply = await set.ask(speech, { path: SPEAK });
  assert.deepEqual([reply.status, reply.end, reply.headers["content-type"]], [200, "complete", "audio/mpeg"]);
  assert.deepEqual(reply.bytes, Buffer.concat(Array.from({ length: 20 }, (_, n) => Buffer.alloc(10_000, n))));
  assert.ok(reply.chunks.at(-1).at - reply.chunks[0].at > 300, "piece by piece");
  const events = await set.ask({ ...speech, stream_format: "sse" }, { path: SPEAK });
  assert.match(events.text, /speech\.audio\.done/);
});

test("sound that breaks off breaks the client's answer off", async (t) => {
  const set = await stage(t, { policy: NO_BREAKER });
  for (const how of ["fin", "reset"]) {
    for (const framing of ["length", "chunked"]) {
      await set.upstreams[0].behave("cut_body", { after_bytes: 2500, how }, { path: SPEAK, framing });
      const reply = await set.ask(speech, { path: SPEAK });
      assert.deepEqual([reply.status, reply.end], [200, "broken"], `${how}, ${framing}`);
      assert.ok(reply.bytes.length <= 2500);
    }
  }
  await set.untilServer(0, (server) => server.totals.failures === 4, "four failures");
});

test("what is no sound never passes for it, and another server is asked", async (t) => {
  const set = await stage(t, { servers: 2, policy: NO_BREAKER });
  for (const behaviour of ["html_page", "error_with_ok"]) {
    await set.upstreams[0].behave(behaviour, {}, { path: SPEAK });
    for (let round = 0; round < 4; round += 1) {
      const reply = await set.ask(speech, { path: SPEAK });
      assert.deepEqual([reply.status, reply.headers["content-type"], reply.bytes.length], [200, "audio/mpeg", 4000]);
    }
  }
  await set.upstreams[1].behave("raw", { content_type: "audio/mpeg", parts: [] }, { path: SPEAK });
  refused(await set.ask(speech, { path: SPEAK }), 502, "upstream_invalid_answer");
});

test("OpenAI's client for Node sends and gets all of it, whatever comes first", async (t) => {
  const set = await stage(t);
  const client = new OpenAI({ baseURL: `${set.gateway.url}/v1`, apiKey: set.key, maxRetries: 0 });
  for (const size of [1000, 20 * MIB]) {
    const file = await toFile(noise(size), "a.wav");
    assert.equal((await client.audio.transcriptions.create({ file, model: MODEL })).text, SAID);
    assert.equal((await client.audio.transcriptions.create({ model: MODEL, file })).text, SAID);
  }
  const file = await toFile(noise(10), "a.wav");
  assert.match(await client.audio.transcriptions.create({ file, model: MODEL, response_format: "srt" }), /^1\n/);
  let text = "";
  for await (const event of await client.audio.transcriptions.create({ file, model: MODEL, stream: true })) text += event.delta ?? "";
  assert.equal(text, SAID);
  const sound = await client.audio.speech.create(speech);
  assert.equal((await sound.arrayBuffer()).byteLength, 4000);
  const image = await toFile(noise(10), "a.png", { type: "image/png" });
  assert.equal((await client.images.edit({ image, model: MODEL, prompt: "A tide gate." })).data[0].b64_json, "iVBORw0=");
});

test("twenty uploads of 20 MiB at once cost the gateway little memory", async (t) => {
  const gateway = await Gateway.start(t);
  const set = await stage(t, { gateway, servers: [{ max_concurrency: 32 }] });
  const body = form(["model", MODEL], ["file", noise(20 * MIB)]);
  for (let round = 0; round < 3; round += 1) transcribed(await upload(set, body), body);
  const before = gateway.memory();
  let most = before;
  const watch = setInterval(() => (most = Math.max(most, gateway.memory())), 20);
  const replies = await Promise.all(Array.from({ length: 20 }, () => upload(set, body, { hangsAfterMs: 120_000 })));
  clearInterval(watch);
  for (const reply of replies) transcribed(reply, body);
  const grown = (most - before) / MIB;
  t.diagnostic(`400 MiB passed through, ${grown.toFixed(0)} MiB more memory at most`);
  assert.ok(grown < 100, `grew by ${grown.toFixed(0)} MiB`);
});
