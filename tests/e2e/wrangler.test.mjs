// The same bundle under `wrangler dev`: the platform's own configuration, and its cron.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { wranglerNode } from "../../scripts/install.mjs";
import { MODULES, ROOT } from "../../scripts/paths.mjs";
import { untilAnswering } from "../../scripts/processes.mjs";
import { ADMIN_KEY, Gateway, SECRET, freePort } from "./harness/gateway.mjs";
import { exchange, told } from "./harness/http.mjs";
import { Running } from "./harness/process.mjs";
import { folder as keptFolder } from "./harness/secrets.mjs";
import { ANSWER, answered, stage } from "./harness/stage.mjs";

async function wrangler(t) {
  const folder = keptFolder("wrangler");
  // The secrets themselves lie elsewhere: what wrangler leaves is scanned for them.
  const given = mkdtempSync(join(tmpdir(), "tidegate-e2e-wrangler-"));
  const [port, inspector] = [await freePort(), await freePort()];
  const secrets = join(given, "dev.env");
  writeFileSync(secrets, `ADMIN_KEY=${ADMIN_KEY}\nTIDEGATE_SECRET=${SECRET}\nALLOW_LOOPBACK=1\n`);
  // The bundle is there: the configuration without its [build] says so.
  const { readFileSync } = await import("node:fs");
  const configuration = join(ROOT, "build", "wrangler-e2e.toml");
  const text = readFileSync(join(ROOT, "wrangler.toml"), "utf8").replace(/^\[build\]\n(.+\n)*/m, "").replace('"build/worker/index.js"', '"worker/index.js"').replace('"build/assets"', '"assets"');
  writeFileSync(configuration, text);
  const args = ["dev", "--config", configuration, "--local", "--ip", "127.0.0.1", "--port", String(port), "--inspector-port", String(inspector), "--persist-to", join(folder, "state"), "--env-file", secrets, "--test-scheduled", "--show-interactive-dev-session=false"];
  const process = new Running("wrangler dev", wranglerNode(), [join(MODULES, "wrangler", "bin", "wrangler.js"), ...args], { log: join(folder, "wrangler.log"), env: { WRANGLER_LOG_PATH: join(folder, "logs"), WRANGLER_SEND_METRICS: "false", NO_COLOR: "1", CI: "1" } });
  t.after(async () => {
    await process.end();
    rmSync(given, { recursive: true, force: true });
    rmSync(configuration, { force: true });
  });
  const url = `http://127.0.0.1:${port}`;
  await untilAnswering(`${url}/v1/models`, process, { seconds: 60 });
  return new Gateway(url);
}

test("under wrangler dev requests are answered, cron runs, and a client that leaves is noticed", async (t) => {
  const gateway = await wrangler(t);
  const set = await stage(t, { gateway });
  answered(await set.ask());
  const said = told((await set.stream()).text);
  assert.deepEqual([said.text, said.done], [ANSWER, true]);
  for (let n = 0; n < 3; n += 1) {
    const cron = await exchange(gateway.url, { method: "GET", path: "/cdn-cgi/handler/scheduled?cron=*+*+*+*+*" });
    assert.deepEqual([cron.status, cron.text], [200, "ok"], "the minute's round ended well");
  }
  await set.upstreams[0].behave("pace", { chunks: 1000, interval_ms: 20 });
  const running = set.open({ stream: true });
  await running.until((other) => other.text.includes("w3"));
  running.leave();
  await set.upstreams[0].aborted(3);
  await set.untilServer(0, (server) => server.queue.running === 0, "a free slot");
});
