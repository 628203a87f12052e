// The contract as a page: rendered in a browser, from our own files alone.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { chromium as browser } from "playwright-core";
import { chromium } from "../../scripts/install.mjs";
import { ROOT } from "../../scripts/paths.mjs";
import { Gateway } from "./harness/gateway.mjs";
import { exchange } from "./harness/http.mjs";

const CONTRACT = readFileSync(join(ROOT, "schemas", "openapi", "openapi.json"), "utf8");
const gateway = Gateway.shared();
const get = (path, method = "GET") => exchange(gateway.url, { method, path });

test("the contract is served as it stands, to everybody", async () => {
  const reply = await get("/openapi.json");
  assert.deepEqual([reply.status, reply.headers["content-type"], reply.text], [200, "application/json", CONTRACT]);
  assert.match(reply.headers["x-request-id"], /^req_/);
  const head = await get("/openapi.json", "HEAD");
  assert.deepEqual([head.status, head.text], [200, ""]);
  assert.deepEqual([(await get("/openapi.json", "POST")).status, (await get("/docs/..%2Fworker%2Findex.js")).status, (await get("/docs/openapi.json")).status], [405, 404, 404]);
});

test("the page and all it loads come with a policy that lets it speak to this gateway alone", async () => {
  for (const path of ["/docs", "/docs/", "/docs/docs.js", "/docs/docs.css", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css"]) {
    const { status, headers } = await get(path);
    assert.equal(status, 200, path);
    assert.match(headers["content-security-policy"], /^default-src 'none'; script-src 'self'; style-src 'self'; .*connect-src 'self'/, path);
    assert.doesNotMatch(headers["content-security-policy"], /unsafe|https?:|\*/, path);
    assert.equal(headers["x-content-type-options"], "nosniff", path);
  }
});

/** Every operation as a line, sorted. */
function operations() {
  const { paths } = JSON.parse(CONTRACT);
  return Object.entries(paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`)).sort();
}

test("a browser shows every operation, asks nobody else, and keeps nothing", async (t) => {
  const opened = await browser.launch({ executablePath: await chromium(), args: ["--no-sandbox", "--disable-dev-shm-usage"] });
  t.after(() => opened.close());
  const page = await opened.newPage({ viewport: { width: 1280, height: 1600 } });
  const asked = [];
  const wrong = [];
  page.on("request", (request) => asked.push(request.url()));
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("console", (message) => message.type() === "error" && wrong.push(message.text()));
  await page.goto(`${gateway.url}/docs`);
  await page.waitForSelector(".opblock-summary-path", { timeout: 30_000 });
  const shown = await page.$$eval(".opblock-summary", (summaries) => summaries.map((summary) => `${summary.querySelector(".opblock-summary-method").textContent} ${summary.querySelector(".opblock-summary-path").textContent}`.replaceAll("\u200b", "")));
  assert.deepEqual(shown.sort(), operations());
  // A request tried out from the page goes to this gateway, and its answer is shown.
  await page.click("#operations-Models-listModels .opblock-summary-control");
  await page.click("#operations-Models-listModels .try-out__btn");
  await page.click("#operations-Models-listModels .execute");
  await page.waitForSelector("#operations-Models-listModels .live-responses-table tbody .response-col_status");
  assert.match(await page.textContent("#operations-Models-listModels .live-responses-table tbody .response-col_status"), /401/);
  if (process.env.SCREENSHOT) await page.screenshot({ path: process.env.SCREENSHOT });
  const strangers = asked.filter((url) => !url.startsWith(`${gateway.url}/`) && !url.startsWith("data:"));
  assert.deepEqual(strangers, []);
  // Chromium reports the 401 itself as an error.
  assert.deepEqual(wrong.filter((text) => !text.includes("401")), []);
  const kept = await page.evaluate(() => [Object.keys(localStorage), Object.keys(sessionStorage), document.cookie]);
  assert.deepEqual(kept, [[], [], ""]);
});
