// Looking in: the request log, the audit, metrics, traces, request ids, alive and ready; tables and scrapes
// are read with parsers that are not ours (harness/parse.py).
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { Gateway } from "./harness/gateway.mjs";
import { exchange } from "./harness/http.mjs";
import { MODEL, NO_BREAKER, answered, eventually, refused, stage } from "./harness/stage.mjs";
import { CHAT } from "./harness/upstream.mjs";

const PARSER = join(import.meta.dirname, "harness", "parse.py");
const OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN = "text/plain; version=0.0.4; charset=utf-8";
/** Sums are sent on every ten seconds. */
const ROLLED_UP = { within: 25_000 };
const TRACE = "0af7651916cd43dd8448eb211c80319c";
const PARENT = `00-${TRACE}-b7ad6b7169203331-01`;
/** Wants quotes in a table, and would be a formula in a spreadsheet. */
const ODD = '=1+1,"nope"\nsecond line';
/** A dollar each second, shared by the slots: 250 micro-dollars for each millisecond of one. */
const PRICED = { price_per_hour: 3600, max_concurrency: 4 };
const MICROUSD_PER_MS = 250;

const parsed = (kind, text) => JSON.parse(execFileSync(process.env.TIDEGATE_PYTHON, [PARSER, kind], { input: text, encoding: "utf8" }));

const logs = (set, query = "") => set.demand(200, "GET", `logs?${query}`);
const ids = (entries) => entries.map((entry) => entry.request_id).sort();

/** The log once it holds so many entries. */
async function logged(set, count) {
  const page = await eventually(() => logs(set), ({ data }) => data.length >= count, { what: `${count} entries` });
  assert.equal(page.data.length, count);
  return page.data;
}

/** A scrape, read with Prometheus' parser of its format. */
async function scrape(set, accept = OPEN_METRICS) {
  const reply = await exchange(set.gateway.url, { method: "GET", path: "/metrics", headers: { authorization: `Bearer ${set.reading}`, accept } });
  assert.equal(reply.status, 200, reply.text);
  assert.equal(reply.headers["content-type"], accept);
  const families = parsed(accept === PLAIN ? "prometheus" : "openmetrics", reply.text);
  const samples = families.flatMap((family) => family.samples);
  const chosen = (name, labels) => samples.filter((sample) => sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value));
  return { families, samples, of: (name, labels = {}) => chosen(name, labels).reduce((sum, { value }) => sum + value, 0), has: (name, labels = {}) => chosen(name, labels).length > 0 };
}

/** The scrape in which so many requests are counted. */
async function counted(set, requests) {
  const found = await eventually(() => scrape(set), ({ of }) => of("tidegate_requests_total") >= requests, { ...ROLLED_UP, what: `${requests} requests in the totals` });
  assert.equal(found.of("tidegate_requests_total"), requests);
  return found;
}

/** One request of every kind; what its log entry has to say, by request id. */
async function everyKind(set) {
  const [server] = set.servers;
  const used = { model: MODEL, server_id: server, attempts: 1 };
  const none = { server_id: null, attempts: 0, first_token_ms: null, prompt_tokens: 0, completion_tokens: 0, cost_microusd: 0 };
  const expected = new Map();
  const note = (reply, entry) => {
    assert.match(reply.headers["x-request-id"], /^req_[0-9a-f]+$/);
    expected.set(reply.headers["x-request-id"], { key_id: set.keyId, project: null, endpoint: CHAT, status: reply.status, error: reply.status === 200 ? null : reply.json.error.code, stream: false, trace_id: null, ...entry });
  };
  const plain = await set.ask({}, { headers: { traceparent: PARENT } });
  answered(plain);
  const { prompt_tokens, completion_tokens } = plain.json.usage;
  assert.ok(prompt_tokens > 0 && completion_tokens > 0);
  note(plain, { ...used, trace_id: TRACE, prompt_tokens, completion_tokens, first_token_ms: null });
  const stream = await set.stream();
  assert.match(stream.text, /\[DONE\]/);
  note(stream, { ...used, stream: true, prompt_tokens, completion_tokens });
  const nope = await set.ask({ model: ODD });
  refused(nope, 404, "model_not_found");
  note(nope, { ...none, model: ODD });
  const wrong = await set.ask("{");
  refused(wrong, 400);
  note(wrong, { ...none, model: null });
  await set.upstreams[0].script({ times: 1, behaviour: { do: "status", status: 500 } });
  const failed = await set.ask();
  refused(failed, 500);
  // The client reads the server's own code; the log has ours, so that strangers' words are no labels.
  assert.equal(failed.json.error.code, "scripted");
  note(failed, { model: MODEL, attempts: 1, error: "upstream_error", prompt_tokens: 0, completion_tokens: 0, first_token_ms: null });
  // Strangers are in no log.
  refused(await set.ask({}, { key: "tg_wrong" }), 401);
  return expected;
}

function judge(entries, expected) {
  assert.deepEqual(ids(entries), [...expected.keys()].sort(), "each once and no other");
  for (const entry of entries) {
    const wanted = expected.get(entry.request_id);
    const said = Object.fromEntries(Object.keys(wanted).map((name) => [name, entry[name]]));
    assert.deepEqual(said, wanted);
    if (entry.stream) assert.ok(entry.first_token_ms >= 0 && entry.first_token_ms <= entry.duration_ms, JSON.stringify(entry));
    // A slot is held no longer than the request lasts, but for the rounding of either end.
    assert.ok(entry.cost_microusd <= (entry.duration_ms + 2) * MICROUSD_PER_MS, JSON.stringify(entry));
  }
}

async function findable(set, entries) {
  const among = (accept) => ids(entries.filter(accept));
  const first = entries.at(-1).ended_at;
  for (const [query, found] of [
    [`key=${set.keyId}`, among(() => true)],
    ["key=key_other", []],
    [`model=${MODEL}`, among((entry) => entry.model === MODEL)],
    [`model=${encodeURIComponent(ODD)}`, among((entry) => entry.model === ODD)],
    [`server=${set.servers[0]}`, among((entry) => entry.server_id !== null)],
    ["status=200", among((entry) => entry.status === 200)],
    ["status=4xx", among((entry) => entry.status >= 400 && entry.status < 500)],
    ["status=404&model=tiny", []],
    ["error=model_not_found", among((entry) => entry.error === "model_not_found")],
    ["min_duration_ms=60000", []],
    [`from=${first}`, among((entry) => entry.ended_at >= first)],
    [`to=${first}`, among((entry) => entry.ended_at < first)],
  ]) {
    assert.deepEqual(ids((await logs(set, query)).data), found, query);
  }
  refused(await set.admin("GET", "logs?status=6xx"), 400);
  refused(await set.admin("GET", "logs?cursor=made-up"), 400);
}

/** Every page of a list, as JSON. */
async function pages(set, query) {
  const seen = [];
  for (let cursor = ""; cursor !== null; ) {
    const page = await logs(set, `${query}&cursor=${cursor}`);
    assert.ok(page.data.length <= 2);
    seen.push(...page.data);
    cursor = page.next_cursor;
  }
  return seen;
}

/** The same as tables; a cell is what JSON says, as text. */
async function tables(set, query) {
  const seen = [];
  for (let cursor = ""; cursor !== undefined; ) {
    const reply = await set.admin("GET", `logs?${query}&cursor=${cursor}`, undefined, { accept: "text/csv" });
    assert.deepEqual([reply.status, reply.headers["content-type"]], [200, "text/csv; charset=utf-8; header=present"]);
    seen.push(...parsed("csv", reply.text));
    cursor = reply.headers["x-next-cursor"];
  }
  return seen;
}

const cells = (entry) => Object.fromEntries(Object.entries(entry).map(([name, value]) => [name, value === null ? "" : String(value).replace(/^=/, "'=")]));

/** Counters say what the log says. */
function agree({ of, has, families }, entries, servers) {
  const sum = (name, accept = () => true) => entries.filter(accept).reduce((total, entry) => total + entry[name], 0);
  const [server] = servers;
  const of200 = { model: MODEL, server, status: "200" };
  assert.equal(of("tidegate_requests_total", of200), entries.filter((entry) => entry.status === 200).length);
  assert.equal(of("tidegate_requests_total", { model: MODEL, status: "500" }), 1);
  assert.equal(of("tidegate_requests_total", { model: "other", server: "", status: "404" }), 1);
  assert.equal(of("tidegate_requests_total", { server: "", status: "400" }), 1);
  assert.equal(of("tidegate_errors_total"), 3);
  assert.equal(of("tidegate_errors_total", { code: "model_not_found" }), 1);
  assert.equal(of("tidegate_attempts_total"), sum("attempts"));
  assert.equal(of("tidegate_tokens_total", { kind: "prompt" }), sum("prompt_tokens"));
  assert.equal(of("tidegate_tokens_total", { kind: "completion" }), sum("completion_tokens"));
  assert.equal(Math.round(of("tidegate_cost_dollars_total") * 1e6), sum("cost_microusd"));
  assert.equal(of("tidegate_request_duration_seconds_count"), entries.length);
  assert.equal(of("tidegate_request_duration_seconds_bucket", { le: "+Inf" }), entries.length);
  assert.equal(Math.round(of("tidegate_request_duration_seconds_sum") * 1e3), sum("duration_ms"));
  assert.equal(of("tidegate_first_token_seconds_count"), entries.filter((entry) => entry.stream).length);
  assert.equal(Math.round(of("tidegate_first_token_seconds_sum") * 1e3), sum("first_token_ms", (entry) => entry.stream));
  assert.equal(of("tidegate_log_entries_lost_total"), 0);
  const which = { model: MODEL, server };
  assert.deepEqual([of("tidegate_server_state", { ...which, state: "healthy" }), of("tidegate_server_state", which)], [1, 1]);
  assert.deepEqual([of("tidegate_server_breaker", { ...which, state: "admitting" }), of("tidegate_server_breaker", which)], [1, 1]);
  assert.equal(of("tidegate_server_capacity", which), PRICED.max_concurrency);
  for (const name of ["tidegate_server_in_flight", "tidegate_server_queued"]) assert.ok(has(name, which) && of(name, which) === 0, name);
  for (const family of families) assert.ok(family.help.length > 10 && ["counter", "gauge", "histogram"].includes(family.type), JSON.stringify(family));
}

/** The samples that are no gauges: those may move between two scrapes. */
const sums = ({ samples }) => samples.filter(({ name }) => !name.startsWith("tidegate_server_"));

test("every request is in the log once and in the sums once, and kill -9 takes neither away", async (t) => {
  const gateway = await Gateway.start(t);
  const set = await stage(t, { gateway, servers: [PRICED], policy: { ...NO_BREAKER, max_retries: 0, hedge: false } });
  const caller = await set.mint();
  [set.key, set.keyId] = [caller.key, caller.id];
  set.reading = (await set.mint({ scopes: ["read"] })).key;
  const before = await scrape(set);
  assert.deepEqual([before.of("tidegate_requests_total"), before.of("tidegate_server_state")], [0, 1]);

  const expected = await everyKind(set);
  const entries = await logged(set, expected.size);
  judge(entries, expected);
  await findable(set, entries);
  const paged = await pages(set, "limit=2");
  assert.deepEqual(paged, entries, "pages follow each other without gaps or repetitions");
  assert.deepEqual(await tables(set, "limit=2"), entries.map(cells));

  const found = await counted(set, entries.length);
  agree(found, entries, set.servers);
  const plain = await scrape(set, PLAIN);
  assert.deepEqual(sums(plain), sums(found), "both formats say the same");
  refused(await exchange(gateway.url, { method: "GET", path: "/metrics", headers: { authorization: `Bearer ${set.key}` } }), 403);

  await gateway.kill();
  await gateway.restart();
  assert.deepEqual(sums(await scrape(set)), sums(found), "nothing is lost, nothing counted again");
  assert.deepEqual(await logged(set, entries.length), entries);
  for (let n = 0; n < 3; n += 1) answered(await set.ask());
  const later = await counted(set, entries.length + 3);
  const grown = (name, labels) => later.of(name, labels) - found.of(name, labels);
  assert.equal(grown("tidegate_requests_total", { model: MODEL, server: set.servers[0], status: "200" }), 3);
  assert.deepEqual([grown("tidegate_attempts_total"), grown("tidegate_errors_total")], [3, 0]);
  await logged(set, entries.length + 3);
});

test("the audit is a table too, page by page", async (t) => {
  const set = await stage(t, { policy: NO_BREAKER });
  await set.demand(200, "PUT", "routes/alias", { targets: [MODEL] });
  const { data } = await eventually(() => set.demand(200, "GET", "audit"), ({ data }) => data.some((entry) => entry.subject === "alias"), { what: "the route in the audit" });
  assert.ok(data.length >= 3, JSON.stringify(data));
  const rows = [];
  for (let before = ""; before !== undefined; ) {
    const reply = await set.admin("GET", `audit?format=csv&limit=2${before && `&before=${before}`}`);
    assert.equal(reply.headers["content-type"], "text/csv; charset=utf-8; header=present");
    rows.push(...parsed("csv", reply.text));
    before = reply.headers["x-next-before"];
  }
  assert.deepEqual(rows, data.map(cells));
});

test("a valid trace goes on as it came, an invalid one is dropped with its state", async (t) => {
  const set = await stage(t);
  const state = "vendor=opaque,other=1";
  const later = `cc-${TRACE}-b7ad6b7169203331-01-what-the-future-brings`;
  const sent = [PARENT, later, "00-rubbish-01", `00-${"0".repeat(32)}-b7ad6b7169203331-01`, `${PARENT}-more`, undefined];
  const heard = [];
  for (const [n, traceparent] of sent.entries()) {
    answered(await set.ask({}, { headers: { ...(traceparent && { traceparent }), tracestate: state } }));
    const { headers } = await set.upstreams[0].arrived(n + 1);
    heard.push(headers.filter(([name]) => name.startsWith("trace")).sort());
  }
  const whole = (traceparent) => [["traceparent", traceparent], ["tracestate", state]];
  assert.deepEqual(heard, [whole(PARENT), whole(later), [], [], [], []]);
  const entries = await logged(set, sent.length);
  assert.deepEqual(entries.map((entry) => entry.trace_id).sort(), [TRACE, TRACE, null, null, null, null]);
});

test("whatever is answered has a request id of its own, also where the host answers by itself", async (t) => {
  const gateway = await Gateway.start(t, { FAULTS: "1" });
  const set = await stage(t, { gateway });
  const get = (path) => exchange(gateway.url, { method: "GET", path });
  const fail = (where) => exchange(gateway.url, { path: `/debug/panic?where=${where}` });
  const replies = [
    [200, await set.ask()],
    [400, await set.ask("{")],
    [401, await set.ask({}, { key: "tg_wrong" })],
    [404, await set.ask({ model: "nope" })],
    [404, await get("/nowhere")],
    [405, await get(CHAT)],
    [403, await get("/admin/logs")],
    [500, await fail("edge")],
    [500, await fail("edge_trap")],
    [200, await get("/healthz")],
  ];
  for (const [status, reply] of replies) {
    assert.equal(reply.status, status, reply.text);
    assert.match(reply.headers["x-request-id"] ?? "", /^req_/, `${status} ${reply.text}`);
  }
  const named = replies.map(([, reply]) => reply.headers["x-request-id"]);
  assert.equal(new Set(named).size, replies.length);
  const faults = named.filter((_, n) => replies[n][0] === 500);
  await eventually(() => readFileSync(gateway.log, "utf8"), (log) => faults.every((id) => log.split("\n").some((line) => line.includes("exchange_failed") && line.includes(id))), { what: "the faults in the log, by their ids" });
});

test("alive and ready are told to everybody", async () => {
  const { url } = Gateway.shared();
  for (const path of ["/healthz", "/readyz"]) {
    const reply = await exchange(url, { method: "GET", path });
    assert.equal(reply.status, 200, `${path}: ${reply.text}`);
  }
});
