// How long a start takes: of a whole process, and of an isolate in a process that runs.
import { copyFileSync, cpSync, existsSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import { ROOT, WORKER_OUT } from "../scripts/paths.mjs";
import { Trouble, start } from "../scripts/processes.mjs";
import { SCRATCH, ask, freePort, launch, workerdProgram } from "./targets.mjs";

const LONGEST_MS = 60_000;

/** Ends one program, and insists after three seconds. */
async function stop(entry) {
  entry.end("SIGTERM");
  const ended = await Promise.race([entry.exit.then(() => true), sleep(3000, false, { ref: false })]);
  if (!ended) entry.end("SIGKILL");
  await entry.exit;
}

/** Milliseconds from the start of the process to its first whole chat completion, `runs` times. The last
 * process goes on, without a past. */
export async function coldStarts(target, runs) {
  const times = [];
  for (let n = 0; n < runs; n += 1) {
    await stop(target.entry);
    const { program, args, env, cwd } = target.again;
    const began = performance.now();
    target.entry = start(target.name, program, args, { env, cwd, log: join(SCRATCH, `${target.name}.log`) });
    target.pid = target.entry.pid;
    await firstAnswer(target, target.entry, began);
    times.push(performance.now() - began);
  }
  return times;
}

async function firstAnswer(target, entry, began) {
  for (;;) {
    const waited = performance.now() - began;
    if (entry.ended || waited > LONGEST_MS) throw new Trouble(`${target.name} did not answer again after a restart`);
    const reply = await ask(target, { signal: AbortSignal.timeout(LONGEST_MS) }).catch(() => undefined);
    if (reply?.status === 200) return;
    // Asking must not be what keeps a slow starter busy: two in a hundred of the time at most.
    await sleep(Math.max(1, waited / 50));
  }
}

/** Milliseconds for the first and the second request to a new isolate, ours and one with nothing in it. */
export async function isolates(count) {
  const folder = join(SCRATCH, "isolate");
  cpSync(join(ROOT, "bench", "isolate"), folder, { recursive: true });
  for (const name of ["index.js", "index_bg.wasm"]) {
    if (!existsSync(join(WORKER_OUT, name))) throw new Trouble(`${join(WORKER_OUT, name)} is missing: npm run build`);
    copyFileSync(join(WORKER_OUT, name), join(folder, name));
  }
  const port = await freePort();
  const args = ["serve", "--experimental", join(folder, "isolate.capnp"), "--socket-addr", `http=127.0.0.1:${port}`];
  const { url, entry } = await launch("isolate", port, { program: workerdProgram(), args }, { path: "/empty/warm" });
  const times = { empty: { first: [], second: [] }, tidegate: { first: [], second: [] } };
  for (let n = 0; n < count; n += 1) {
    for (const [kind, wanted] of [["empty", 200], ["tidegate", 401]]) {
      for (const which of ["first", "second"]) {
        const began = performance.now();
        const reply = await fetch(`${url}/${kind}/${n}`);
        const text = await reply.text();
        times[kind][which].push(performance.now() - began);
        if (reply.status !== wanted) throw new Trouble(`an isolate (${kind}) answered ${reply.status}: ${text}`);
      }
    }
  }
  await stop(entry);
  return times;
}
