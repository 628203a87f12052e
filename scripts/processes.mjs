// Running other programs: to their end with progress shown, or in the background until we end.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { ROOT } from "./paths.mjs";

/** What has been begun and has not ended: `{ end(signal), exit }`. */
const running = new Set();

/** Something the user can act on: printed without a stack. */
export class Trouble extends Error {}

/** Prints one line that names the step, so that a long silence is never a riddle. */
export function say(text) {
  process.stderr.write(`▸ ${text}\n`);
}

/** Runs to the end with its output passed through; throws a Trouble when it fails. */
export async function run(what, command, args, options = {}) {
  const { code, signal } = await runToEnd(command, args, options);
  if (code !== 0) throw new Trouble(`${what} failed (${signal ?? `exit code ${code}`}): ${[command, ...args].join(" ")}`);
}

/** Runs to the end and hands back `{ code, signal }`. */
export function runToEnd(command, args, { cwd = ROOT, env = {}, stdio = ["ignore", "inherit", "inherit"] } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, stdio, env: { ...process.env, ...env } });
    const entry = { end: (signal) => child.kill(signal), exit: once(child, "exit").catch(() => null) };
    running.add(entry);
    const done = (code, signal) => {
      running.delete(entry);
      resolve({ code, signal });
    };
    child.on("error", (error) => {
      process.stderr.write(`${command}: ${error.message}\n`);
      done(127, null);
    });
    child.on("exit", done);
  });
}

/** The trimmed standard output, or null when the program is absent or fails. */
export function ask(command, args, options = {}) {
  const result = spawnSync(command, args, { encoding: "utf8", cwd: ROOT, stdio: ["ignore", "pipe", "pipe"], ...options });
  return result.status === 0 ? result.stdout.trim() : null;
}

let ending = null;

/** Starts a program in a process group of its own; `endAll` ends the whole group. */
export function start(name, command, args, { cwd = ROOT, env = {}, log } = {}) {
  const out = log ? openSync(log, "a") : "inherit";
  const child = spawn(command, args, {
    cwd,
    detached: true,
    stdio: ["ignore", out, out],
    env: { ...process.env, ...env },
  });
  const entry = { name, log, pid: child.pid, ended: false, end: (signal) => signalGroup(child, signal) };
  running.add(entry);
  entry.exit = new Promise((resolve) => {
    const end = (why) => {
      entry.ended = true;
      running.delete(entry);
      resolve(why);
    };
    child.on("error", (error) => end(error.message));
    child.on("exit", (code, signal) => end(signal ?? `exit code ${code}`));
  });
  return entry;
}

function signalGroup(child, signal) {
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The whole group has ended already.
  }
}

/** Ends everything that was begun: asks first, insists after three seconds. */
export function endAll() {
  ending ??= endEach();
  return ending;
}

async function endEach() {
  const entries = [...running];
  for (const entry of entries) entry.end("SIGTERM");
  await Promise.race([Promise.all(entries.map((entry) => entry.exit)), sleep(3000)]);
  // A group can outlive its leader, so every group is told, ended leader or not.
  for (const entry of entries) entry.end("SIGKILL");
}

/** Runs `main`, and sees to it that its end, however it comes, ends what it started. */
export async function program(main) {
  // A second Ctrl-C joins the end under way rather than cutting it short.
  const stop = (code) => endAll().then(() => process.exit(code));
  process.on("SIGINT", () => stop(130));
  process.on("SIGTERM", () => stop(143));
  process.on("SIGHUP", () => stop(129));
  try {
    await main();
  } catch (error) {
    // What fails because we are ending it is not news.
    if (ending) return ending;
    process.stderr.write(error instanceof Trouble ? `\n✗ ${error.message}\n` : `\n${error.stack}\n`);
    await stop(1);
  }
}

/** Asks `url` until `accept(response)` holds; a Trouble when `entry` ends first or time runs out. */
export async function untilAnswering(url, entry, { seconds, accept = (r) => r.status < 500, headers = {} }) {
  const deadline = Date.now() + seconds * 1000;
  while (Date.now() < deadline) {
    if (entry.ended) throw new Trouble(`${entry.name} ended (${await entry.exit}) before it answered.${hint(entry)}`);
    try {
      const response = await fetch(url, { headers, signal: AbortSignal.timeout(5000) });
      await response.arrayBuffer();
      if (accept(response)) return;
    } catch {
      // Not listening yet.
    }
    await Promise.race([sleep(100), entry.exit]);
  }
  throw new Trouble(`${entry.name} did not answer on ${url} within ${seconds} s.${hint(entry)}`);
}

function hint({ log }) {
  return log ? ` Its output is in ${log}.` : "";
}
