// The gateway under test: the built bundle on bare workerd, with its objects on disk.
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { untilAnswering } from "../../../scripts/processes.mjs";
import { settings, workerd } from "../../../scripts/workerd.mjs";
import { isGateway } from "./contract.mjs";
import { exchange } from "./http.mjs";
import { Running } from "./process.mjs";
import { folder, secret } from "./secrets.mjs";

export const ADMIN_KEY = "an-admin-key-for-tests-only-000000";
export const SECRET = "a-secret-for-tests-only-0000000000000000000";

export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

export class Gateway {
  #process;
  #env;

  constructor(url) {
    this.url = url;
    isGateway(url);
  }

  /** The one that all suites share. */
  static shared() {
    const { url } = JSON.parse(process.env.TIDEGATE_E2E ?? "null") ?? {};
    if (url === undefined) throw new Error("start the suites with: node tests/e2e/run.mjs [--only name]");
    return new Gateway(url);
  }

  /** One of its own, ended with the test (or suite) `t`. Its objects and its log stay until the run's end. */
  static async start(t, env = {}) {
    const port = env.PORT ?? (await freePort());
    const stateDir = folder("gateway");
    const gateway = new Gateway(`http://127.0.0.1:${port}`);
    gateway.log = join(stateDir, "workerd.log");
    gateway.#env = { PORT: String(port), STATE_DIR: stateDir, ALLOW_LOOPBACK: "1", ADMIN_KEY, TIDEGATE_SECRET: SECRET };
    t?.after(() => gateway.kill());
    await gateway.restart(env);
    return gateway;
  }

  /** Starts it on what is on disk, with these settings from now on. */
  async restart(changes = {}) {
    this.#env = { ...this.#env, ...changes };
    secret("admin key", this.#env.ADMIN_KEY);
    for (const name of ["TIDEGATE_SECRET", "TIDEGATE_SECRET_PREVIOUS"]) if (this.#env[name]) secret("installation secret", this.#env[name]);
    const { command, args, env } = workerd(settings(this.#env));
    this.#process = new Running("workerd", command, args, { env, log: this.log });
    await untilAnswering(`${this.url}/v1/models`, this.#process, { seconds: 30 });
  }

  /** As the power cut does it. */
  async kill() {
    await this.#process?.end("SIGKILL");
  }

  get pid() {
    return this.#process.pid;
  }

  get isRunning() {
    return !this.#process.ended;
  }

  /** Memory in use, in bytes. */
  memory() {
    const status = readFileSync(`/proc/${this.pid}/status`, "utf8");
    return Number(status.match(/^VmRSS:\s+(\d+) kB/m)[1]) * 1024;
  }

  /** Asks an admin route for an organisation. */
  async admin(org, method, path, body, headers = {}) {
    const reply = await exchange(this.url, {
      method,
      path: `/admin/${path}`,
      headers: { "x-api-key": ADMIN_KEY, "x-tidegate-org": org, "content-type": "application/json", ...headers },
      body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body),
    });
    return reply;
  }
}
