// A pretend cloud (tests/simcloud) beside a gateway for development: its machines are processes here that serve the
// tiny model, and its bill is play money.
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ROOT, STATE } from "./paths.mjs";
import { Trouble, run, say, start } from "./processes.mjs";

const PROFILE = {
  kind: "llama_cpp",
  model_name: "rented-tiny-chat",
  upstream_model: "tiny-chat",
  image: "ghcr.io/ggml-org/llama.cpp:server-cuda",
  disk_gb: 20,
  max_concurrency: 4,
  scaling: { idle_timeout_seconds: 300, max_lifetime_seconds: 3600, max_instances: 2 },
};

/** Builds and starts it; its machines run `interpreter serve.py`. */
export async function startCloud({ interpreter, modelServer, key }) {
  await run("cargo build", "cargo", ["build", "--quiet", "--locked", "--package", "tidegate-simcloud"]);
  const log = join(STATE, "simcloud.log");
  rmSync(log, { force: true });
  say(`starting a pretend cloud (its output: ${log})`);
  const box = [interpreter, join(modelServer, "serve.py"), "--host", "{host}", "--port", "{port}"];
  const binary = join(process.env.CARGO_TARGET_DIR ?? join(ROOT, "target"), "debug", "tidegate-simcloud");
  const cloud = start("the pretend cloud", binary, ["--runpod-key", key, ...box.flatMap((word) => ["--box-command", word])], { log });
  return { cloud, info: JSON.parse(await firstLine(cloud)) };
}

async function firstLine(entry) {
  for (let waited = 0; waited < 30_000 && !entry.ended; waited += 50) {
    const line = existsSync(entry.log) ? readFileSync(entry.log, "utf8").split("\n").find((line, at, all) => line.startsWith("{") && at < all.length - 1) : undefined;
    if (line !== undefined) return line;
    await sleep(50);
  }
  throw new Trouble(`${entry.name} said nothing. Its output is in ${entry.log}.`);
}

/** What the gateway is told of it (`VENDOR_ORIGINS`). */
export function originsOf({ runpod, endpoint }) {
  return `runpod=${runpod},runpod.endpoint=${endpoint}`;
}

/** Connects an account there, unless an earlier start did, and says what is to run on what it rents. */
export async function connect(admin, key) {
  const demand = async (method, path, body) => {
    const reply = await admin(method, path, body);
    if (reply.status > 299) throw new Trouble(`${method} ${path} failed with ${reply.status}: ${reply.text}`);
    return reply.json();
  };
  const { data } = await demand("GET", "/admin/providers/runpod/accounts");
  if (!data.some(({ label }) => label === "pretend")) {
    await demand("POST", "/admin/providers/runpod/accounts", { label: "pretend", credential: { api_key: key } });
  }
  await demand("PUT", "/admin/profiles/tiny", PROFILE);
  return PROFILE.model_name;
}

export function invitation({ url, key, adminKey, model }) {
  return `
Rent a GPU of the pretend cloud (it costs nothing, and is given back after five idle minutes):

curl ${url}/admin/instances -H "X-API-Key: ${adminKey}" -H "Content-Type: application/json" -d '{"profile": "tiny"}'
curl "${url}/admin/instances?state=ready" -H "X-API-Key: ${adminKey}"      # until it is listed, about ten seconds

curl ${url}/v1/chat/completions \\
  -H "Authorization: Bearer ${key}" -H "Content-Type: application/json" \\
  -d '{"model": "${model}", "messages": [{"role": "user", "content": "Say hello."}]}'

curl ${url}/admin/ledger -H "X-API-Key: ${adminKey}"                       # what it has cost
`;
}
