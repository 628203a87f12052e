// `npm start`: from a fresh checkout to a gateway that answers, with a small real model behind it and a pretend
// cloud to rent from. Installs what is missing, builds, runs `wrangler dev` on loopback, the model server and the
// cloud, registers them, and prints what to paste. Ctrl-C ends all of it.
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "./build.mjs";
import { connect, invitation, originsOf, startCloud } from "./cloud.mjs";
import { python, wranglerNode } from "./install.mjs";
import { MODULES, ROOT, STATE } from "./paths.mjs";
import { assertFree, portFrom } from "./ports.mjs";
import { Trouble, program, say, start, untilAnswering } from "./processes.mjs";

const MODEL_SERVER = join(ROOT, "tests", "model-server");
const DEV_FILE = join(STATE, "dev.json");
/** Loading the model and one answer on two slow cores; the first start also downloads it. */
const MODEL_SECONDS = 600;

/** The development secrets, made once and kept: stored objects are bound to them. */
function developmentSecrets() {
  mkdirSync(STATE, { recursive: true, mode: 0o700 });
  const kept = existsSync(DEV_FILE) ? JSON.parse(readFileSync(DEV_FILE, "utf8")) : {};
  kept.admin_key ??= randomBytes(24).toString("base64url");
  kept.tidegate_secret ??= randomBytes(32).toString("base64url");
  kept.cloud_key ??= `rpa_${randomBytes(20).toString("hex")}`;
  keep(kept);
  return kept;
}

function keep(secrets) {
  writeFileSync(DEV_FILE, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600 });
}

async function startModelServer(port, interpreter) {
  const log = join(STATE, "model-server.log");
  say(`starting the model server on port ${port} (its output: ${log})`);
  const server = start("the model server", interpreter, [join(MODEL_SERVER, "serve.py"), "--host", "127.0.0.1", "--port", String(port)], { log });
  const url = `http://127.0.0.1:${port}`;
  await untilAnswering(`${url}/v1/models`, server, { seconds: MODEL_SECONDS, accept: (response) => response.ok });
  const { data } = await (await fetch(`${url}/v1/models`)).json();
  return { server, url, model: data[0].id };
}

async function startGateway(port, secrets, origins) {
  const log = join(STATE, "wrangler.log");
  const envFile = join(STATE, "dev.env");
  // Here nobody overwrites the address header that wrangler.toml names, so it is not believed.
  const set = {
    ADMIN_KEY: secrets.admin_key,
    TIDEGATE_SECRET: secrets.tidegate_secret,
    ALLOW_LOOPBACK: "1",
    CLIENT_ADDRESS_HEADER: "",
    PUBLIC_URL: `http://127.0.0.1:${port}`,
    VENDOR_ORIGINS: origins,
  };
  writeFileSync(envFile, Object.entries(set).map(([name, value]) => `${name}=${value}\n`).join(""), { mode: 0o600 });
  say(`starting wrangler dev on port ${port} (its output: ${log})`);
  const gateway = start("wrangler dev", wranglerNode(), [
    join(MODULES, "wrangler", "bin", "wrangler.js"), "dev", "--local", "--ip", "127.0.0.1", "--port", String(port), "--inspector-port", "0",
    "--persist-to", join(STATE, "wrangler"), "--env-file", envFile, "--test-scheduled", "--log-level", "log", "--show-interactive-dev-session=false",
  ], { log, env: { WRANGLER_SEND_METRICS: "false", NO_COLOR: "1" } });
  const url = `http://127.0.0.1:${port}`;
  await untilAnswering(`${url}/v1/models`, gateway, { seconds: 180 });
  return { gateway, url };
}

async function admin(url, secrets, method, path, body) {
  const response = await fetch(url + path, {
    method,
    headers: { "content-type": "application/json", "x-api-key": secrets.admin_key },
    body: body === undefined ? undefined : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, text, json: () => JSON.parse(text) };
}

async function register(url, secrets, model, endpoint) {
  const reply = await admin(url, secrets, "POST", "/admin/register", { model_name: model, endpoint_url: endpoint });
  // 409: registered by an earlier start, and its state was kept.
  if (reply.status !== 201 && reply.status !== 409) throw new Trouble(`registering the model server failed with ${reply.status}: ${reply.text}`);
}

/** The key of an earlier start while the gateway still accepts it, else a new one. */
async function inferenceKey(url, secrets) {
  if (secrets.key) {
    const response = await fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${secrets.key}` } });
    if (response.ok) return secrets.key;
  }
  const reply = await admin(url, secrets, "POST", "/admin/keys", { name: "npm start", scopes: ["inference"] });
  if (reply.status !== 201) throw new Trouble(`making a key failed with ${reply.status}: ${reply.text}`);
  secrets.key = reply.json().key;
  keep(secrets);
  return secrets.key;
}

function welcome({ url, key, model, adminKey, rented }) {
  return `
Tidegate is ready.

  base URL   ${url}/v1
  key        ${key}
  model      ${model}
  admin key  ${adminKey}

curl ${url}/v1/chat/completions \\
  -H "Authorization: Bearer ${key}" -H "Content-Type: application/json" \\
  -d '{"model": "${model}", "messages": [{"role": "user", "content": "Say hello."}]}'

# pip install openai
from openai import OpenAI
client = OpenAI(base_url="${url}/v1", api_key="${key}")
stream = client.chat.completions.create(model="${model}", stream=True, messages=[{"role": "user", "content": "Say hello."}])
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)
${invitation({ url, key, adminKey, model: rented })}
Ctrl-C ends the gateway, the model server and the pretend cloud.
`;
}

await program(async () => {
  const port = portFrom(process.env, "PORT", 8787);
  const modelPort = portFrom(process.env, "MODEL_PORT", port + 1);
  await assertFree("PORT", port);
  await assertFree("MODEL_PORT", modelPort);
  await build();
  const secrets = developmentSecrets();
  const interpreter = await python(join(MODEL_SERVER, "requirements.txt"));
  const { server, url: endpoint, model } = await startModelServer(modelPort, interpreter);
  const { cloud, info } = await startCloud({ interpreter, modelServer: MODEL_SERVER, key: secrets.cloud_key });
  const { gateway, url } = await startGateway(port, secrets, originsOf(info));
  await register(url, secrets, model, endpoint);
  const rented = await connect((...call) => admin(url, secrets, ...call), secrets.cloud_key);
  const key = await inferenceKey(url, secrets);
  console.log(welcome({ url, key, model, adminKey: secrets.admin_key, rented }));
  const ended = await Promise.race([server, cloud, gateway].map((entry) => entry.exit.then((why) => `${entry.name} ended by itself (${why}). Its output is in ${entry.log}.`)));
  throw new Trouble(ended);
});
