// schemathesis against the built bundle: requests made from the OpenAPI document, well-formed and not, and
// every answer held to it. No 5xx, no status, header or body that the document does not describe.
//
//   node tests/contract/run.mjs            as `npm test` does
//   node tests/contract/run.mjs --built    with the build that is there
//   … -- --include-path /v1/embeddings     what stands behind -- is schemathesis's own
//
// The model servers behind it answer, so a 5xx is the gateway's own. Requests follow from the seed.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "../../scripts/build.mjs";
import { nodeModules, python } from "../../scripts/install.mjs";
import { ROOT } from "../../scripts/paths.mjs";
import { Trouble, endAll, program, run, runToEnd, say } from "../../scripts/processes.mjs";
import { ADMIN_KEY, Gateway } from "../e2e/harness/gateway.mjs";
import { Upstream } from "../e2e/harness/upstream.mjs";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const SEED = 20261121;
/** Enough to spoil: an id that was removed answers 404 from then on. */
const SPARE = 40;

/** Judged by what the document says, not by whether a request looks wrong: what a body may hold beyond its
 * fields is the model server's to refuse. */
const CHECKS = ["not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance", "response_schema_conformance", "unsupported_method", "ignored_auth"];

/** Ours, and behind `--` those of schemathesis. */
function split(args) {
  const at = args.indexOf("--");
  return at < 0 ? [args, []] : [args.slice(0, at), args.slice(at + 1)];
}

async function demand(gateway, org, method, path, body) {
  const reply = await gateway.admin(org, method, path, body);
  if (reply.status !== 200 && reply.status !== 201) throw new Trouble(`${method} /admin/${path}: ${reply.status} ${reply.text}`);
  return reply.json;
}

/** An organisation whose model answers, and one to be spoiled. */
async function furnish(gateway, upstream) {
  const [model, org] = ["tiny", "spoiled"];
  await demand(gateway, "default", "POST", "register", { model_name: model, endpoint_url: upstream.url, max_concurrency: 100 });
  const { key } = await demand(gateway, "default", "POST", "keys", { name: "contract", scopes: ["inference", "read"] });
  const [servers, keys] = [[], []];
  for (let n = 0; n < SPARE; n += 1) {
    servers.push((await demand(gateway, org, "POST", "register", { model_name: `spare-${n}`, endpoint_url: upstream.url })).registration_id);
    keys.push((await demand(gateway, org, "POST", "keys", { name: `spare-${n}` })).id);
  }
  return { key, world: { model, org, servers, keys, upstream: upstream.url } };
}

await program(async () => {
  const [args, more] = split(process.argv.slice(2));
  await nodeModules();
  if (!args.includes("--built")) await build({ fast: args.includes("--fast") });
  await run("cargo build", "cargo", ["build", "--quiet", "--package", "tidegate-upstream"]);
  const interpreter = await python(join(HERE, "requirements.txt"));
  const folder = mkdtempSync(join(tmpdir(), "tidegate-contract-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const gateway = await Gateway.start(undefined, { STATE_DIR: join(folder, "state") });
  const upstream = await Upstream.start();
  const { key, world } = await furnish(gateway, upstream);
  say("schemathesis: requests from the document");
  const { code } = await runToEnd(interpreter, [
    "-m", "schemathesis.cli", "--config-file", join(HERE, "schemathesis.toml"), "run", join(ROOT, "schemas", "openapi", "openapi.json"), "--url", gateway.url,
    "--checks", CHECKS.join(","), "--phases", "examples,coverage,fuzzing", "--max-examples", "12", "--seed", String(SEED), "--workers", "1",
    "--no-shrink", "--warnings", "off", "--request-timeout", "30", ...more,
  ], { cwd: folder, env: { TIDEGATE_KEY: key, TIDEGATE_ADMIN_KEY: ADMIN_KEY, TIDEGATE_WORLD: JSON.stringify(world), SCHEMATHESIS_HOOKS: "hooks", PYTHONPATH: HERE, PYTHONDONTWRITEBYTECODE: "1", NO_COLOR: "1" } });
  if (!gateway.isRunning) throw new Trouble("the gateway ended by itself");
  await gateway.kill();
  await endAll();
  if (code !== 0) throw new Trouble("schemathesis found answers that the document does not describe; see above");
  // The harness keeps connections for the next request, and there is none.
  process.exit(0);
});
