// Runs the built bundle on bare workerd: writes the configuration and names the program to start.
//
// Two things that Cloudflare provides are absent there. Cron: the binding ALARM_CRON=1 tells the
// Directory object to keep an alarm of its own instead. The network: workerd itself refuses private
// and loopback addresses unless they are allowed here, whatever a name may resolve to.
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { isIP } from "node:net";
import { join, relative, resolve } from "node:path";
import { ASSETS_OUT, ROOT, STATE, WORKER_OUT } from "./paths.mjs";
import { portFrom } from "./ports.mjs";
import { Trouble } from "./processes.mjs";

/** The eight classes of object, each with its binding; wrangler.toml lists the same for Cloudflare. */
export const OBJECTS = {
  DIRECTORY: "Directory",
  FLEET: "Fleet",
  MODEL: "Model",
  INSTANCE: "Instance",
  KEY: "Key",
  JOURNAL: "Journal",
  ACCOUNT: "Account",
  LEDGER: "Ledger",
};

/** Reads one setting of wrangler.toml, so that both hosts run with the same platform behaviour. */
function setting(name) {
  const found = readFileSync(join(ROOT, "wrangler.toml"), "utf8").match(new RegExp(`^${name} = (.+)$`, "m"));
  if (!found) throw new Trouble(`wrangler.toml has no ${name}`);
  return JSON.parse(found[1]);
}

function flag(env, name) {
  const value = env[name] ?? "";
  if (!["", "0", "1"].includes(value)) throw new Trouble(`${name} must be 1 or 0, not "${value}"`);
  return value === "1";
}

/** A secret from the environment, else the one kept beside the objects, else a new one. */
function keptSecret(stateDir, env, name, notes) {
  if (env[name]) return env[name];
  const path = join(stateDir, `${name.toLowerCase()}.secret`);
  if (existsSync(path)) return readFileSync(path, "utf8").trim();
  const secret = randomBytes(32).toString("base64url");
  writeFileSync(path, `${secret}\n`, { mode: 0o600 });
  notes.push(`${name} was not set: a new one is kept in ${path}`);
  return secret;
}

function allowedNetworks(env) {
  const extra = (env.ALLOW_NETWORKS ?? "").split(",").map((part) => part.trim()).filter(Boolean);
  for (const network of extra) {
    const [address, bits, rest] = network.split("/");
    const width = isIP(address) === 4 ? 32 : 128;
    if (!isIP(address) || rest !== undefined || !/^\d+$/.test(bits ?? "") || Number(bits) > width) {
      throw new Trouble(`ALLOW_NETWORKS takes addresses with a prefix length, such as 10.0.0.0/8, separated by commas; "${network}" is not one`);
    }
  }
  return ["public", ...(flag(env, "ALLOW_LOOPBACK") ? ["private", "local"] : []), ...extra];
}

/** Settings from the environment; fills in what may be absent and says so in `notes`. */
export function settings(env = process.env) {
  const port = portFrom(env, "PORT", 8787);
  const stateDir = resolve(ROOT, env.STATE_DIR ?? join(STATE, "state"));
  mkdirSync(join(stateDir, "objects"), { recursive: true, mode: 0o700 });
  const notes = [];
  return {
    host: env.HOST ?? "127.0.0.1",
    port,
    stateDir,
    networks: allowedNetworks(env),
    loopback: flag(env, "ALLOW_LOOPBACK"),
    allowHosts: env.ALLOW_HOSTS ?? "",
    corsOrigins: env.CORS_ORIGINS ?? "",
    clientAddressHeader: env.CLIENT_ADDRESS_HEADER ?? "",
    vendorOrigins: env.VENDOR_ORIGINS ?? "",
    publicUrl: env.PUBLIC_URL ?? "",
    // For tests: opens POST /debug/panic.
    faults: flag(env, "FAULTS"),
    secrets: {
      ADMIN_KEY: keptSecret(stateDir, env, "ADMIN_KEY", notes),
      TIDEGATE_SECRET: keptSecret(stateDir, env, "TIDEGATE_SECRET", notes),
      ...(env.TIDEGATE_SECRET_PREVIOUS ? { TIDEGATE_SECRET_PREVIOUS: env.TIDEGATE_SECRET_PREVIOUS } : {}),
    },
    notes,
  };
}

// An object's file name is derived from this key: it must never change, or stored objects are lost.
const uniqueKey = (className) => createHash("sha256").update(`tidegate/${className}`).digest("hex").slice(0, 32);

function configuration({ host, port, stateDir, networks, loopback, allowHosts, corsOrigins, clientAddressHeader, vendorOrigins, publicUrl, faults, secrets }) {
  const text = (value) => JSON.stringify(value);
  const file = (name) => `embed ${text(relative(stateDir, join(WORKER_OUT, name)))}`;
  const list = (items) => `[\n${items.map((item) => `    ${item},\n`).join("")}  ]`;
  // Secrets are read from the environment by workerd itself: they never stand in this file.
  const bindings = [
    ...Object.keys(secrets).map((name) => `(name = ${text(name)}, fromEnvironment = ${text(name)})`),
    `(name = "ALLOW_LOOPBACK", text = ${text(loopback ? "1" : "0")})`,
    `(name = "ALLOW_HOSTS", text = ${text(allowHosts)})`,
    `(name = "CORS_ORIGINS", text = ${text(corsOrigins)})`,
    `(name = "CLIENT_ADDRESS_HEADER", text = ${text(clientAddressHeader)})`,
    `(name = "VENDOR_ORIGINS", text = ${text(vendorOrigins)})`,
    `(name = "PUBLIC_URL", text = ${text(publicUrl)})`,
    `(name = "ALARM_CRON", text = "1")`,
    `(name = "ASSETS", service = "assets")`,
    `(name = "FAULTS", text = ${text(faults ? "1" : "0")})`,
    ...Object.entries(OBJECTS).map(([name, className]) => `(name = ${text(name)}, durableObjectNamespace = ${text(className)})`),
  ];
  const objects = Object.values(OBJECTS).map((className) => `(className = ${text(className)}, uniqueKey = ${text(uniqueKey(className))}, enableSql = true)`);
  return `# Written by scripts/workerd.mjs at every start; edits are lost.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "tidegate", worker = .tidegate),
    (name = "internet", network = (allow = [${networks.map(text).join(", ")}], tlsOptions = (trustBrowserCas = true))),
    (name = "assets", disk = (path = ${text(ASSETS_OUT)})),
    (name = "objects", disk = (path = ${text(join(stateDir, "objects"))}, writable = true)),
  ],
  sockets = [(name = "http", address = ${text(`${host.includes(":") ? `[${host}]` : host}:${port}`)}, http = (), service = "tidegate")],
);

const tidegate :Workerd.Worker = (
  modules = [
    (name = "index.js", esModule = ${file("index.js")}),
    (name = "index_bg.wasm", wasm = ${file("index_bg.wasm")}),
  ],
  compatibilityDate = ${text(setting("compatibility_date"))},
  compatibilityFlags = [${setting("compatibility_flags").map(text).join(", ")}],
  globalOutbound = "internet",
  durableObjectStorage = (localDisk = "objects"),
  bindings = ${list(bindings)},
  durableObjectNamespaces = ${list(objects)},
);
`;
}

/** Writes the configuration; hands back the arguments for `start`. */
export function workerd(chosen) {
  const config = join(chosen.stateDir, "tidegate.capnp");
  writeFileSync(config, configuration(chosen));
  const { default: program } = createRequire(import.meta.url)("workerd");
  return { command: program, args: ["serve", config], env: chosen.secrets };
}
