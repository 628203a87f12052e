// Holds what comes back from a gateway to schemas/openapi/openapi.json: status, headers, body. As the tests
// of `edge` do it, an object of ours has exactly the members that the document lists, though clients are
// told to expect more: what is not listed is what somebody forgot to write down.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import formats from "ajv-formats";
import Ajv from "ajv/dist/2020.js";
import { ROOT } from "../../../scripts/paths.mjs";

const document = JSON.parse(readFileSync(join(ROOT, "schemas", "openapi", "openapi.json"), "utf8"));
const ajv = new Ajv({ strict: false, allErrors: false });
formats(ajv);
ajv.addSchema({ components: close(structuredClone(document.components)) }, "openapi");

/** Not of the gateway: the faults that tests switch on, and wrangler's own. */
const FOREIGN = ["/debug/", "/cdn-cgi/"];
/** What any path may be refused with, before it is looked at. */
const ANYWHERE = [403, 404, 405, 413, 414, 415, 431];

const gateways = new Set();
const validators = new Map();

/** From now on answers from this address are held to the document. */
export function isGateway(url) {
  gateways.add(new URL(url).origin);
}

function close(schema) {
  if (schema === null || typeof schema !== "object") return schema;
  if (schema.properties !== undefined && !Array.isArray(schema) && schema.additionalProperties === undefined) schema.additionalProperties = false;
  Object.values(schema).forEach(close);
  return schema;
}

const resolve = (value) => (value?.$ref === undefined ? value : value.$ref.slice(2).split("/").reduce((at, name) => at[name], document));

function complaint(schema, value) {
  const text = JSON.stringify(schema).replaceAll('"#/', '"openapi#/');
  if (!validators.has(text)) validators.set(text, ajv.compile(JSON.parse(text)));
  const valid = validators.get(text);
  return valid(value) ? undefined : ajv.errorsText(valid.errors);
}

/** A parameter of these names takes what is left, slashes and all. */
function fits(template, path) {
  const pattern = template.replace(/[.*+?^$()|[\]\\]/g, "\\$&").replace(/\{(\w+)\}/g, (_, name) => (["name", "model", "scope"].includes(name) ? ".+" : "[^/]+"));
  return new RegExp(`^${pattern}$`).test(path);
}

/** Why the document does not describe this answer, if it does not. */
export function violation(url, method, { status, headers, body }) {
  const { origin, pathname } = url;
  if (!gateways.has(origin) || FOREIGN.some((prefix) => pathname.startsWith(prefix))) return undefined;
  if (method === "OPTIONS" && status === 204) return undefined;
  const path = pathname.replace(/\/+$/, "");
  const item = Object.entries(document.paths).find(([template]) => fits(template, path))?.[1];
  const operation = item?.[method === "HEAD" ? "get" : method.toLowerCase()];
  if (operation === undefined) return ANYWHERE.includes(status) ? undefined : "the document has no such operation";
  const response = resolve(operation.responses[status] ?? operation.responses[`${Math.floor(status / 100)}XX`]);
  if (response === undefined) return `status ${status} is not among ${Object.keys(operation.responses)}`;
  for (const [name, reference] of Object.entries(response.headers ?? {})) {
    const header = resolve(reference);
    const value = headers[name];
    if (value === undefined && header.required) return `the header ${name} is missing`;
    const why = value === undefined ? undefined : complaint(header.schema, value);
    if (why) return `the header ${name}: ${why}`;
  }
  const kind = headers["content-type"]?.split(";")[0].trim();
  if (kind === undefined) return response.content === undefined ? undefined : "it has no content-type";
  const content = response.content ?? {};
  const media = content[kind] ?? content[`${kind.split("/")[0]}/*`] ?? content["*/*"];
  if (media === undefined) return `${kind} is not among ${Object.keys(content)}`;
  if (kind !== "application/json" || method === "HEAD") return undefined;
  return complaint(media.schema, JSON.parse(body()));
}
