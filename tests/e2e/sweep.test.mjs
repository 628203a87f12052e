// `cargo xtask sweep` beside the real gateway: what it owns stays, what nobody owns goes, and a gateway that is
// gone gives nobody away.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT } from "../../scripts/paths.mjs";
import { Cloud } from "./harness/cloud.mjs";
import { ADMIN_KEY, Gateway, freePort } from "./harness/gateway.mjs";
import { exchange } from "./harness/http.mjs";
import { folder, secret } from "./harness/secrets.mjs";
import { eventually } from "./harness/stage.mjs";

const PROGRAM = join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "debug", "tidegate-sweep");

/** The program's code and what it said, which is kept for the secret scan. */
function sweep(args, log) {
  const child = spawn(PROGRAM, args, { env: { ...process.env, SWEEP_ADMIN_KEY: ADMIN_KEY } });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (said += chunk));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      writeFileSync(log, said, { flag: "a" });
      resolve({ code, said });
    });
  });
}

test("what the gateway owns stays, what nobody owns goes", { timeout: 240_000 }, async (t) => {
  const cloud = await Cloud.start(t);
  const port = await freePort();
  const gateway = await Gateway.start(t, { VENDOR_ORIGINS: cloud.origins, PUBLIC_URL: `http://127.0.0.1:${port}`, PORT: String(port) });
  const org = `e2e-${randomBytes(6).toString("hex")}`;
  secret("landmark", org);
  const demand = async (status, method, path, body) => {
    const reply = await gateway.admin(org, method, path, body);
    assert.equal(reply.status, status, `${method} /admin/${path}: ${reply.text}`);
    return reply.json;
  };
  const key = cloud.key("runpod").id;
  const account = await demand(201, "POST", "providers/runpod/accounts", { label: "main", credential: { api_key: key } });
  assert.match(account.fingerprint, /^[0-9a-f]{10}$/);
  await demand(200, "PUT", "profiles/tiny", { kind: "llama_cpp", model_name: "rented", upstream_model: "tiny-chat", image: "x", args: [], port: 8080, health_path: "/health" });
  const launched = await demand(201, "POST", "instances", { profile: "tiny", constraints: { vendor: "runpod" } });
  const instance = await eventually(() => demand(200, "GET", `instances/${launched.id}`), (seen) => seen.status === "ready", { within: 60_000 });

  const secrets = mkdtempSync(join(tmpdir(), "tidegate-sweep-"));
  t.after(() => rmSync(secrets, { recursive: true, force: true }));
  writeFileSync(join(secrets, "runpod.json"), JSON.stringify({ api_key: key }), { mode: 0o600 });
  const log = join(folder("sweep"), "sweep.log");
  const common = ["--vendor", "runpod", "--credential-file", join(secrets, "runpod.json"), "--vendor-origins", cloud.origins];
  const beside = [...common, "--gateway", gateway.url, "--admin-key-env", "SWEEP_ADMIN_KEY", "--account", account.id, "--org", org];
  const alive = async () => (await cloud.machines("vendor=runpod", { count: 0 })).machines.filter(({ ended_ms: ended }) => ended === null).map(({ id }) => id);

  const owned = await sweep(beside, log);
  assert.equal(owned.code, 0, owned.said);
  assert.match(owned.said, new RegExp(`${instance.machine_id}.*owned`));

  const made = await exchange(cloud.info.runpod, {
    method: "POST",
    path: "/v2/pods",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ name: `tidegate-${account.fingerprint}-srv_nobody-1`, image: "x", gpu: { id: "NVIDIA L4", count: 1 } }),
  });
  assert.equal(made.status, 201, made.text);
  const told = await sweep(beside, log);
  assert.equal(told.code, 3, told.said);
  assert.deepEqual(new Set(await alive()), new Set([instance.machine_id, made.json.id]));

  const killed = await sweep([...beside, "--kill", "--grace", "2s"], log);
  assert.equal(killed.code, 2, killed.said);
  assert.deepEqual(await alive(), [instance.machine_id]);
  const after = await demand(200, "GET", `instances/${launched.id}`);
  assert.equal(after.status, "ready");

  await gateway.kill();
  const gone = await sweep([...beside, "--kill", "--grace", "2s", "--fingerprint", account.fingerprint], log);
  assert.equal(gone.code, 1, gone.said);
  assert.match(gone.said, /not known/);
  const young = await sweep([...common, "--without-gateway", "--fingerprint", account.fingerprint, "--older-than", "13h", "--kill"], log);
  assert.equal(young.code, 0, young.said);
  assert.deepEqual(await alive(), [instance.machine_id]);
});
