// Gateways of others, installed on demand into the cache, never by `npm test`.
//
// Each runs as its own documentation has it for production, with nothing that talks to anybody else, one
// process, and the same upstream behind it.
import { createHash, randomBytes } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join } from "node:path";
import { build } from "esbuild";
import { python } from "../scripts/install.mjs";
import { CACHE, ROOT } from "../scripts/paths.mjs";
import { Trouble, run, say } from "../scripts/processes.mjs";
import { freePort, launch, workerdProgram } from "./targets.mjs";

const PEERS = join(ROOT, "bench", "peers");

const read = (path) => readFileSync(path, "utf8");

/** The folder in the cache where Portkey's gateway is installed as the lock file says. */
async function packages() {
  const lock = read(join(PEERS, "package-lock.json"));
  const folder = join(CACHE, "peers", createHash("sha256").update(lock).digest("hex").slice(0, 16));
  const stamp = join(folder, ".complete");
  if (existsSync(stamp)) return folder;
  say(`installing Portkey's gateway into ${folder} (once, some seconds)`);
  mkdirSync(folder, { recursive: true });
  for (const file of ["package.json", "package-lock.json"]) copyFileSync(join(PEERS, file), join(folder, file));
  await run("npm ci", "npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], { cwd: folder });
  writeFileSync(stamp, "");
  return folder;
}

const portkeyIn = (folder) => join(folder, "node_modules", "@portkey-ai", "gateway", "build", "start-server.js");

/** Portkey routes by headers, and takes whatever key stands in `authorization` for the upstream's. */
const portkeyHeaders = (upstream) => ["authorization: Bearer none", "x-portkey-provider: openai", `x-portkey-custom-host: ${upstream.url}/v1`];

async function portkeyNode(upstream) {
  const script = portkeyIn(await packages());
  const port = await freePort();
  const command = { program: process.execPath, args: [script, `--port=${port}`, "--headless"], env: { NODE_ENV: "production" } };
  return { ...(await launch("portkey-node", port, command)), headers: portkeyHeaders(upstream) };
}

/** The package holds the whole application and, at its end, the Node server around it: a Worker is the
 * same without that end. */
async function bundlePortkey(folder) {
  const script = portkeyIn(folder);
  const whole = read(script).replace(/^#!.*\n/, "");
  const [server, again] = whole.matchAll(/const\{injectWebSocket:\w+,upgradeWebSocket:\w+\}=\w+\(\{app:(\w+)\}\);/g);
  if (!server || again) throw new Trouble("Portkey's package is not the one this was written for: where its Node server begins was not found");
  const contents = `${whole.slice(0, server.index)}\nexport default ${server[1]};`;
  await build({
    stdin: { contents, resolveDir: dirname(script) },
    outfile: join(folder, "portkey.mjs"),
    bundle: true,
    minify: true,
    format: "esm",
    target: "esnext",
    conditions: ["workerd", "worker", "browser"],
    mainFields: ["browser", "module", "main"],
    define: { "process.env.NODE_ENV": '"production"' },
    plugins: [withoutServer, platformModules],
    logLevel: "warning",
  });
}

/** What only the end that was cut off had used. */
const withoutServer = {
  name: "without-server",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(@hono\/node-server|@hono\/node-ws|ws)$/ }, ({ path }) => ({ path, namespace: "unused" }));
    onLoad({ filter: /./, namespace: "unused" }, () => ({ contents: "export const serve = 0, createNodeWebSocket = 0; export default 0;" }));
  },
};

/** workerd has Node's modules to import, but none to require. */
const platformModules = {
  name: "platform-modules",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^(node:)?[a-z_]+(\/[a-z]+)?$/ }, ({ path, kind, namespace }) => {
      const name = path.replace("node:", "");
      if (!builtinModules.includes(name)) return undefined;
      const required = kind === "require-call" && namespace !== "required";
      return required ? { path: name, namespace: "required" } : { path: `node:${name}`, external: true };
    });
    onLoad({ filter: /./, namespace: "required" }, ({ path }) => ({ contents: `import it from "node:${path}"; module.exports = it;` }));
  },
};

async function portkeyWorkerd(upstream) {
  const folder = await packages();
  await bundlePortkey(folder);
  const config = join(folder, "portkey.capnp"); // It embeds what lies beside it.
  copyFileSync(join(PEERS, "portkey.capnp"), config);
  const port = await freePort();
  const args = ["serve", config, "--socket-addr", `http=127.0.0.1:${port}`];
  return { ...(await launch("portkey-workerd", port, { program: workerdProgram(), args })), headers: portkeyHeaders(upstream) };
}

async function litellm(upstream) {
  const interpreter = await python(join(PEERS, "requirements.txt"));
  const port = await freePort();
  const key = `sk-${randomBytes(24).toString("hex")}`;
  const command = {
    program: interpreter,
    args: ["-m", "litellm.proxy.proxy_cli", "--config", join(PEERS, "litellm.yaml"), "--host", "127.0.0.1", "--port", String(port), "--num_workers", "1"],
    env: {
      UPSTREAM_BASE: `${upstream.url}/v1`, LITELLM_MASTER_KEY: key, LITELLM_MODE: "PRODUCTION", LITELLM_LOG: "ERROR",
      // It would otherwise ask for prices over the network at its start, and report that it runs.
      LITELLM_LOCAL_MODEL_COST_MAP: "True", LITELLM_TELEMETRY: "False",
    },
  };
  return { ...(await launch("litellm", port, command, { seconds: 120, path: "/health/liveliness", accept: (r) => r.ok })), key };
}

export const PEER_TARGETS = { "portkey-workerd": portkeyWorkerd, "portkey-node": portkeyNode, litellm };

/** As pinned. */
export function peerVersions() {
  const { dependencies } = JSON.parse(read(join(PEERS, "package.json")));
  const pinned = read(join(PEERS, "requirements.txt")).match(/^litellm==(.+)$/m)?.[1];
  return { portkey: dependencies["@portkey-ai/gateway"], litellm: pinned };
}
