// Bad input: a clear error in OpenAI's shape, and nothing changed by it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Gateway } from "./harness/gateway.mjs";
import { MODEL, answered, refused, stage } from "./harness/stage.mjs";
import { Upstream } from "./harness/upstream.mjs";

const LIMIT = 10 * 1024 * 1024;
const cleanups = [];
const suite = { after: (work) => cleanups.push(work) };
let set;
let strict;
before(async () => {
  set = await stage(suite);
  // As in production: loopback is refused too.
  strict = await Gateway.start(suite, { ALLOW_LOOPBACK: "0" });
});
after(async () => {
  for (const work of cleanups) await work();
});

const messages = [{ role: "user", content: "Say hello." }];
const BODIES = [
  ["nothing", "", "invalid_json", null],
  ["half a body", '{"model":"tiny","messages":[', "invalid_json", null],
  ["an array", "[]", "invalid_json", null],
  ["a word", "hello", "invalid_json", null],
  ["two values", '{"model":"tiny"} {"model":"tiny"}', "invalid_json", null],
  ["bytes that are no UTF-8", Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), "invalid_json", null],
  ["no model", JSON.stringify({ messages }), "missing_required_parameter", "model"],
  ["a model that is a number", JSON.stringify({ model: 7, messages }), "invalid_type", "model"],
  ["stream that is a word", JSON.stringify({ model: MODEL, messages, stream: "yes" }), "invalid_type", "stream"],
  ["two models", '{"model":"tiny","model":"other","messages":[]}', "duplicate_parameter", "model"],
  ["nesting without end", `{"model":"tiny","messages":${"[".repeat(2000)}${"]".repeat(2000)}}`, "json_too_deep", null],
];
for (const [what, body, code, param] of BODIES) {
  test(`a body with ${what} is 400 and sent nowhere`, async () => {
    const before = (await set.upstreams[0].posts()).length;
    const error = refused(await set.ask(body), 400, code);
    assert.equal(error.param, param);
    assert.equal((await set.upstreams[0].posts()).length, before);
  });
}

test("an unknown model is 404 and names the parameter", async () => {
  const error = refused(await set.ask({ model: "nobody" }), 404, "model_not_found");
  assert.equal(error.param, "model");
  refused(await set.ask(undefined, { method: "GET", path: "/v1/models/nobody" }), 404, "model_not_found");
});

test("a body over the limit is 413, declared or not, and one at the limit passes", async () => {
  const whole = (size) => {
    const body = { model: MODEL, messages: [{ role: "user", content: "" }] };
    body.messages[0].content = "x".repeat(size - JSON.stringify(body).length);
    return JSON.stringify(body);
  };
  const before = (await set.upstreams[0].posts()).length;
  refused(await set.ask(whole(LIMIT + 1)), 413, "request_too_large");
  const big = Buffer.from(whole(LIMIT + 1));
  const pieces = Array.from({ length: Math.ceil(big.length / 65_536) }, (_, n) => big.subarray(n * 65_536, (n + 1) * 65_536));
  const chunked = await set.ask({}, { body: pieces });
  // The answer may reach us while we are still sending.
  if (chunked.end === "complete") refused(chunked, 413, "request_too_large");
  assert.equal(chunked.status, 413, `${chunked.end} ${chunked.error}`);
  assert.equal((await set.upstreams[0].posts()).length, before);
  answered(await set.ask(whole(LIMIT)));
});

test("an answer that comes before the body was read reaches clients that write first and read then", async () => {
  const send = async (key, bytes) => {
    const body = Buffer.alloc(bytes, "x");
    const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
    // As the SDKs send: this client reports a connection that is closed while it writes.
    const response = await fetch(`${set.gateway.url}/v1/chat/completions`, { method: "POST", headers, body });
    return [response.status, (await response.json()).error.code];
  };
  for (let n = 0; n < 5; n += 1) {
    assert.deepEqual(await send(set.key, 12_000_000), [413, "request_too_large"]);
    assert.deepEqual(await send("tg_nobody", 10_000_000), [401, "invalid_api_key"]);
  }
});

test("wrong methods and unknown routes say so", async () => {
  refused(await set.ask(undefined, { method: "GET" }), 405, "method_not_allowed");
  refused(await set.ask({}, { path: "/v1/nothing" }), 404, "not_found");
  refused(await set.ask({}, { path: "/" }), 404, "not_found");
  refused(await set.admin("GET", "nothing"), 404, "not_found");
  refused(await set.admin("PATCH", "keys", {}), 405, "method_not_allowed");
});

const URLS = [
  "", "tiny", "ftp://example.com/v1", "file:///etc/passwd", "javascript:alert(1)", "http://", "http:///v1", "http://user:secret@example.com/v1", "https://user@example.com/v1",
  "http://127.0.0.1:8080/v1", "http://127.1:8080/v1", "http://localhost:8080/v1", "http://LOCALHOST./v1", "http://sub.localhost/v1", "http://2130706433/v1", "http://0x7f000001/v1", "http://0x7f.0.0.1/v1",
  "http://017700000001/v1", "http://0177.0.0.1/v1", "http://127.0.0.1.:80/v1", "http://[::1]:8080/v1", "http://[::]/v1", "http://0.0.0.0/v1", "http://0/v1",
  "http://[::ffff:127.0.0.1]/v1", "http://[::ffff:7f00:1]/v1", "http://[::127.0.0.1]/v1", "http://[64:ff9b::7f00:1]/v1", "http://[2002:7f00:1::]/v1",
  "http://10.0.0.1/v1", "http://172.16.0.1/v1", "http://192.168.1.1/v1", "http://100.64.0.1/v1", "http://169.254.169.254/latest/meta-data", "http://169.254.0.1/v1",
  "http://[fe80::1]/v1", "http://[fc00::1]/v1", "http://[fd00:ec2::254]/v1", "http://metadata.google.internal/v1", "http://metadata/v1", "http://[fe80::1%25eth0]/v1",
  "http://224.0.0.1/v1", "http://255.255.255.255/v1", "http://198.18.0.1/v1", "http://192.0.2.1/v1", "http://1.1.1.1:22/v1", "http://example.com:0/v1", "http://example.com:99999/v1", "http://example.com/v1\r\nx: y", "http://①②⑦.⓪.⓪.①/v1", "http://127。0。0。1/v1",
  "http://example.com/v1?key=secret", "http://exa mple.com/v1", "http://intranet/v1", "http://foo.internal/v1", "http://foo.local/v1",
];
for (const endpoint_url of URLS) {
  test(`the address ${JSON.stringify(endpoint_url)} is refused and changes nothing`, async () => {
    const error = refused(await strict.admin("urls", "POST", "register", { model_name: MODEL, endpoint_url }), 400);
    assert.equal(error.param, "endpoint_url");
    assert.ok(!error.message.includes("secret"), "credentials are not repeated");
    assert.equal((await strict.admin("urls", "GET", "servers")).json.total, 0);
  });
}

test("the loopback switch opens loopback and nothing else", async () => {
  for (const endpoint_url of ["http://10.0.0.1/v1", "http://169.254.169.254/v1", "http://192.168.0.1/v1", "http://[fe80::1]/v1", "http://user:x@127.0.0.1/v1"]) {
    refused(await set.admin("POST", "register", { model_name: MODEL, endpoint_url }), 400);
  }
});

test("a first check that fails is 503 with its reason, and nothing is registered", async (t) => {
  const upstream = await Upstream.start();
  t.after(() => upstream.end());
  const models = (behaviour) => upstream.script({ path: "/v1/models", behaviour });
  const register = () => set.admin("POST", "register", { model_name: "checked", endpoint_url: upstream.url });
  const total = (await set.demand(200, "GET", "servers")).total;
  const { url } = set.upstreams[0];
  for (const [behaviour, code] of [
    [{ do: "redirect", status: 302, location: "http://169.254.169.254/latest" }, "upstream_redirected"],
    [{ do: "redirect", status: 307, location: `${url}/v1/models` }, "upstream_redirected"],
    [{ do: "html_page" }, "upstream_invalid_answer"],
    [{ do: "status", status: 500 }, "upstream_error"],
    [{ do: "status", status: 401 }, "upstream_refused_key"],
    [{ do: "close", how: "reset" }, "upstream_unreachable"],
    [{ do: "raw", content_type: "application/json", parts: [{ utf8: "{" }] }, "upstream_invalid_answer"],
  ]) {
    await models(behaviour);
    const error = refused(await register(), 503, code);
    assert.match(error.message, /first check/);
  }
  await upstream.accepting("refuse", { close_existing: true });
  refused(await register(), 503, "upstream_unreachable");
  assert.equal((await set.demand(200, "GET", "servers")).total, total);
});

test("a duplicate is 409 however its address is spelt, and names the one that is there", async () => {
  const { url } = set.upstreams[0];
  const port = new URL(url).port;
  for (const endpoint_url of [url, `${url}/`, `${url}/v1`, `${url}/v1/`, `HTTP://127.0.0.1:${port}/v1`]) {
    const error = refused(await set.admin("POST", "register", { model_name: MODEL, endpoint_url }), 409, "conflict");
    assert.ok(error.message.includes(set.servers[0]));
  }
  const id = await set.register(set.upstreams[0], { model_name: "another" });
  await set.demand(200, "DELETE", `register/${id}`);
});

const FIELDS = [
  ["register", { endpoint_url: "http://127.0.0.1:1" }, "model_name"], ["register", { model_name: "x" }, "endpoint_url"], ["register", { model_name: "x", endpoint_url: "http://127.0.0.1:1", max_concurency: 4 }, "max_concurency"],
  ["register", { model_name: "x", endpoint_url: "http://127.0.0.1:1", max_concurrency: "four" }, "max_concurrency"], ["register", { model_name: "x", endpoint_url: "http://127.0.0.1:1", api_key: "a\r\nb" }, "api_key"],
  ["keys", {}, "name"], ["keys", { name: "x", scopes: ["root"] }, "scopes"], ["keys", { name: "x", requests_per_minute: 0 }, "requests_per_minute"], ["keys", { name: "x", expires_at: "tomorrow" }, "expires_at"],
];
for (const [path, body, param] of FIELDS) {
  test(`POST /admin/${path} with ${JSON.stringify(body)} is 400 and names ${param}`, async () => {
    assert.equal(refused(await set.admin("POST", path, body), 400).param, param);
  });
}

for (const [name, value] of [["first_token_timeout_ms", 0], ["eject_failure_percent", 101], ["health_interval_ms", 1], ["max_retries", "two"], ["nonsense", 1]]) {
  test(`a policy with ${name} = ${value} is 400 and changes nothing`, async () => {
    const before = await set.demand(200, "GET", "policies/reliability");
    assert.equal(refused(await set.admin("PUT", "policies/reliability", { [name]: value }), 400).param, name);
    assert.deepEqual(await set.demand(200, "GET", "policies/reliability"), before);
  });
}
