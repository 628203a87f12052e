// Looks for secrets in everything that a run leaves: logs, the objects' SQLite files as they lie on the disk
// (deleted rows and write-ahead logs are bytes too), answers that clients got, requests that servers got.
//
// A secret is looked for as it is, in UTF-16, in hexadecimal, in base64 at each of its three alignments, and
// percent-encoded; an API key by the middle of its secret part, as text and as the bytes that this stands for.
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join, relative, sep } from "node:path";
import { HEARD, SECRETS } from "./secrets.mjs";

/** Shorter ones occur by chance in megabytes: 8 characters of base64 do so once in 2^48 places. */
const LEAST_CHARS = 8;
const KEY_SHAPE = /tg_[0-9A-Za-z]{88}/;

/** Of the 64 bytes that a key's text stands for, 30 to 47 are secret: the chunks of bytes 32 to 47 are whole. */
const KEY_TEXT = { from: 3 + 4 * 11, to: 3 + 6 * 11 };
const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

function base62(text) {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE([...text].reduce((value, digit) => value * 62n + BigInt(DIGITS.indexOf(digit)), 0n));
  return bytes;
}

/** The characters of a base64 text that depend on `bytes` alone, when `before` bytes precede them. */
function base64(bytes, before) {
  const whole = Buffer.concat([Buffer.alloc(before), bytes]);
  return whole.toString("base64").slice(Math.ceil((before * 8) / 6), Math.floor((whole.length * 8) / 6));
}

function encodings(bytes) {
  const alignments = [0, 1, 2].map((before) => base64(bytes, before));
  return [
    ["hex", bytes.toString("hex")],
    ["HEX", bytes.toString("hex").toUpperCase()],
    ...alignments.flatMap((text) => [["base64", text], ["base64url", text.replaceAll("+", "-").replaceAll("/", "_")]]),
  ];
}

/** All that a secret may look like: pairs of a name and bytes. */
export function forms({ kind, text }) {
  const named = (entries) => entries.map(([form, seen]) => [form, Buffer.from(seen)]);
  const core = kind === "api key" ? text.slice(KEY_TEXT.from, KEY_TEXT.to) : text;
  const plain = Buffer.from(core);
  const wide = Buffer.from(core, "utf16le");
  const all = [["plain", plain], ["UTF-16", wide], ["UTF-16, big-endian", Buffer.from(wide).swap16()], ...named(encodings(plain))];
  const escaped = [["percent-encoded", encodeURIComponent(core)], ["in JSON", JSON.stringify(core).slice(1, -1)]];
  all.push(...named(escaped.filter(([, seen]) => seen !== core)));
  if (kind === "api key") {
    const raw = Buffer.concat([base62(core.slice(0, 11)), base62(core.slice(11))]);
    all.push(["bytes", raw], ...named(encodings(raw)));
  }
  const seen = new Set();
  return all.filter(([, bytes]) => {
    const name = bytes.toString("latin1");
    return bytes.length >= LEAST_CHARS && !seen.has(name) && seen.add(name);
  });
}

/** Finds thousands of texts in one pass: most places are ruled out by a bit for their next four bytes. */
export class Finder {
  #byHead = new Map();
  #maybe = new Uint8Array(1 << 16);

  constructor(secrets) {
    for (const secret of secrets) {
      for (const [form, bytes] of forms(secret)) {
        const head = bytes.readUInt32BE(0);
        this.#maybe[Math.imul(head, 0x9e3779b1) >>> 16] = 1;
        if (!this.#byHead.has(head)) this.#byHead.set(head, []);
        this.#byHead.get(head).push({ secret, form, bytes });
      }
    }
  }

  /** Each `{secret, form}` that occurs, with the place where it occurs first. */
  in(buffer) {
    const found = new Map();
    let head = 0;
    for (let end = 0; end < buffer.length; end += 1) {
      head = ((head << 8) | buffer[end]) >>> 0;
      if (this.#maybe[Math.imul(head, 0x9e3779b1) >>> 16] === 0 || end < 3) continue;
      for (const entry of this.#byHead.get(head) ?? []) {
        const at = end - 3;
        if (!found.has(entry) && entry.bytes.equals(buffer.subarray(at, at + entry.bytes.length))) found.set(entry, at);
      }
    }
    return [...found].map(([{ secret, form }, at]) => ({ secret, form, at }));
  }
}

const lines = (file) => (existsSync(file) ? readFileSync(file, "utf8").split("\n").filter(Boolean).map((line) => JSON.parse(line)) : []);

const SAID = ["prompt", "answer"];
/** Written by the gateway or its objects; everything else in the folder is somebody else's. */
const isOurs = (path) => /^(gateway|wrangler)-/.test(path);
/** The runner's own report repeats what a failed test compared. */
const isReport = (path) => path === SECRETS || path === HEARD || path.endsWith(".tap");

/** Whether a secret may be where it was heard: a new key in the answer that shows it, a server's own key at
 * its server, and what was said everywhere outside. */
function mayBeHeard({ kind, text }, entry, secrets) {
  if (SAID.includes(kind)) return true;
  if (kind === "api key" || kind === "ssh key") return entry.minting === true;
  const itsOwn = (other) => other.kind === "server key" && other.text === text && other.origin === entry.origin;
  return entry.by === "server" && secrets.some(itsOwn);
}

/** Scans a run's folder. `found` are the secrets that are where they must not be; `blind` says why the scan
 * would not have seen them. */
export function scan(folder) {
  const noted = lines(join(folder, SECRETS));
  const secrets = noted.filter(({ kind }) => kind !== "landmark");
  const landmarks = new Set(noted.filter(({ kind }) => kind === "landmark").map(({ text }) => text));
  const ours = new Finder(secrets);
  const others = new Finder(secrets.filter(({ kind }) => !SAID.includes(kind)));
  const found = [];
  const seen = { files: 0, bytes: 0, logs: 0, tables: 0, landmarks: 0, heard: 0 };
  const note = (buffer, path, finder) => {
    for (const { secret, form, at } of finder.in(buffer)) found.push({ kind: secret.kind, form, path, at, around: around(buffer, at) });
  };
  for (const path of readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))) {
    const name = relative(folder, path).split(sep).join("/");
    if (isReport(name)) continue;
    const buffer = readFileSync(path);
    seen.files += 1;
    seen.bytes += buffer.length;
    note(buffer, name, isOurs(name) ? ours : others);
    if (!isOurs(name)) continue;
    const shaped = KEY_SHAPE.exec(buffer.toString("latin1"));
    if (shaped) found.push({ kind: "api key", form: "by its shape", path: name, at: shaped.index, around: around(buffer, shaped.index) });
    if (name.endsWith(".log") && buffer.length > 0) seen.logs += 1;
    if (!/\.sqlite(-wal)?$/.test(name)) continue;
    seen.tables += 1;
    for (const landmark of landmarks) if (buffer.includes(landmark)) landmarks.delete(landmark);
  }
  for (const entry of lines(join(folder, HEARD))) {
    seen.heard += 1;
    const buffer = Buffer.from(entry.text, "latin1");
    for (const { secret, form, at } of others.in(buffer)) {
      if (!mayBeHeard(secret, entry, secrets)) found.push({ kind: secret.kind, form, path: `what a ${entry.by} got: ${entry.what}`, at, around: around(buffer, at) });
    }
  }
  seen.landmarks = landmarks.size;
  return { found, seen, secrets: secrets.length, blind: blindness(seen, secrets, landmarks) };
}

function blindness({ logs, tables }, secrets, landmarks) {
  const why = [];
  if (secrets.length === 0) why.push("no secret was noted");
  if (logs === 0) why.push("there is no log");
  if (tables === 0) why.push("there are no tables");
  if (landmarks.size > 0) why.push(`${landmarks.size} organisations are in no table, such as ${[...landmarks][0]}`);
  return why;
}

const around = (buffer, at) => JSON.stringify(buffer.subarray(Math.max(0, at - 120), at + 40).toString("latin1"));

/** What the run prints; with `more`, the surroundings too. */
export function report({ found, seen, secrets, blind }, { more = false } = {}) {
  const told = found.map(({ kind, form, path, at, around }) => `  ${kind} (${form}) in ${path}, byte ${at}${more ? `: ${around}` : ""}`);
  const trouble = blind.map((why) => `  the scan is blind: ${why}`);
  const size = `${secrets} secrets in ${seen.files} files (${(seen.bytes / 2 ** 20).toFixed(0)} MiB, ${seen.tables} of tables, ${seen.logs} logs) and ${seen.heard} messages`;
  return [`secret scan: ${size}: ${found.length} found`, ...trouble, ...told].join("\n");
}
