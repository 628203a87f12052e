// The scan at the end of a run (harness/scan.mjs) finds what is planted, and nothing else.
import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { forms, report, scan } from "./harness/scan.mjs";
import { HEARD, SECRETS } from "./harness/secrets.mjs";

const API_KEY = `tg_${"0".repeat(44)}7Yq2LmZx81B3Kc0rT5wDsH${"4".repeat(22)}`;
const KINDS = [
  { kind: "admin key", text: "an admin key/with+odd characters" },
  { kind: "installation secret", text: "installation-secret-for-this-test" },
  { kind: "api key", text: API_KEY },
  { kind: "server key", text: "sk-upstream-91c5f0", origin: "http://127.0.0.1:9" },
  { kind: "prompt", text: "a phrase that only a client says" },
];
const ORG = "org-of-this-test";

/** A run's folder as an innocent gateway leaves it. */
function left(t, secrets = KINDS) {
  const folder = mkdtempSync(join(tmpdir(), "tidegate-scan-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const put = (path, bytes) => {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), bytes);
  };
  put("gateway-x/workerd.log", '{"event":"request","status":200}\n');
  put("gateway-x/objects/a.sqlite", `SQLite format 3\0${ORG}\0`);
  put("model-server.log", "ready\n");
  for (const secret of [...secrets, { kind: "landmark", text: ORG }]) appendFileSync(join(folder, SECRETS), `${JSON.stringify(secret)}\n`);
  const hear = (entry) => appendFileSync(join(folder, HEARD), `${JSON.stringify(entry)}\n`);
  return { folder, put, hear };
}

const noise = (length) => Buffer.alloc(length, "the quick brown fox; ");

test("a secret is found in every form, in logs and in tables, wherever it begins", (t) => {
  const { folder, put } = left(t);
  assert.deepEqual(scan(folder).found, []);
  for (const secret of KINDS) {
    for (const [form, bytes] of forms(secret)) {
      for (const [path, before] of [["gateway-x/workerd.log", 0], ["gateway-x/objects/a.sqlite-wal", 70_001]]) {
        put(path, Buffer.concat([noise(before), bytes, noise(50)]));
        const { found } = scan(folder);
        assert.deepEqual(found.map((one) => [one.kind, one.form, one.path, one.at]), [[secret.kind, form, path, before]]);
        put(path, noise(100));
      }
    }
  }
});

test("base64 hides a secret at no alignment", (t) => {
  const { folder, put } = left(t);
  for (const { text } of KINDS) {
    for (let before = 0; before < 6; before += 1) {
      put("gateway-x/workerd.log", Buffer.from(`${"x".repeat(before)}${text}${text.slice(0, 5)}`).toString("base64"));
      assert.equal(new Set(scan(folder).found.map((one) => one.kind)).size, 1, `${text} after ${before} bytes`);
    }
  }
});

test("an API key that nobody noted is found by its shape", (t) => {
  const { folder, put } = left(t, [KINDS[0]]);
  put("gateway-x/workerd.log", `refused ${API_KEY}\n`);
  assert.deepEqual(scan(folder).found.map((one) => one.form), ["by its shape"]);
});

test("what was said outside the gateway is judged by who heard it", (t) => {
  const [admin, installation, apiKey, serverKey, prompt] = KINDS.map(({ text }) => text);
  const cases = [
    [{ by: "client", minting: true }, apiKey, true],
    [{ by: "client", minting: false }, apiKey, false],
    [{ by: "client", minting: true }, serverKey, false],
    [{ by: "client", minting: true }, admin, false],
    [{ by: "server", origin: "http://127.0.0.1:9" }, serverKey, true],
    [{ by: "server", origin: "http://127.0.0.1:10" }, serverKey, false],
    [{ by: "server", origin: "http://127.0.0.1:9" }, apiKey, false],
    [{ by: "server", origin: "http://127.0.0.1:9" }, installation, false],
    [{ by: "server", origin: "http://127.0.0.1:9" }, prompt, true],
  ];
  for (const [who, text, allowed] of cases) {
    const { folder, hear } = left(t);
    hear({ ...who, what: "POST /x", text: `{"authorization":"Bearer ${text}"}` });
    assert.equal(scan(folder).found.length, allowed ? 0 : 1, JSON.stringify([who, text]));
  }
});

test("what a model server logs of its own is its own, but for the gateway's secrets", (t) => {
  const { folder, put } = left(t);
  const [admin, , , , prompt] = KINDS.map(({ text }) => text);
  put("model-server.log", `prompt: ${prompt}`);
  assert.deepEqual(scan(folder).found, []);
  put("model-server.log", `x-api-key: ${admin}`);
  assert.equal(scan(folder).found.length, 1);
});

test("a scan that could not have seen anything says so", (t) => {
  const { folder, put } = left(t);
  assert.deepEqual(scan(folder).blind, []);
  put("gateway-x/objects/a.sqlite", "");
  assert.match(scan(folder).blind.join(), /organisations are in no table/);
  rmSync(join(folder, "gateway-x"), { recursive: true });
  rmSync(join(folder, SECRETS));
  assert.deepEqual(scan(folder).blind, ["no secret was noted", "there is no log", "there are no tables"]);
});

test("the report names the place, and shows the surroundings only when asked to", (t) => {
  const { folder, put } = left(t);
  put("gateway-x/workerd.log", `key=${KINDS[1].text}`);
  const scanned = scan(folder);
  assert.match(report(scanned), /1 found\n  installation secret \(plain\) in gateway-x\/workerd.log, byte 4$/);
  assert.match(report(scanned, { more: true }), /byte 4: "key=installation/);
});
