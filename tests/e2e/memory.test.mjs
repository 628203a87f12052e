// A client that reads slowly: bounded memory, the upstream held back, and nobody blamed for a stall.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Gateway } from "./harness/gateway.mjs";
import { told } from "./harness/http.mjs";
import { NO_BREAKER, answered, stage } from "./harness/stage.mjs";

const MIB = 1024 * 1024;
const CHUNKS = 4000;
const CHARS = 10_000;

test("a client that stops reading holds the upstream back, costs little memory, and gets all of it in the end", async (t) => {
  const gateway = await Gateway.start(t);
  const set = await stage(t, { gateway, policy: { ...NO_BREAKER, idle_timeout_ms: 1000, first_token_timeout_ms: 20_000 } });
  answered(await set.ask());
  await set.upstreams[0].behave("pace", { chunks: CHUNKS, chunk_chars: CHARS });
  const readers = Array.from({ length: 1 }, () => set.open({ stream: true }, { hangsAfterMs: 60_000 }));
  for (const one of readers) await one.until((other) => other.status === 200);
  for (const one of readers) one.pause();
  const before = gateway.memory();
  // Longer than the idle deadline: that nothing moves is the readers' doing alone.
  await new Promise((resolve) => setTimeout(resolve, 3000));
  const grown = gateway.memory() - before;
  const sent = (await set.upstreams[0].posts()).slice(1).map((entry) => entry.bytes_sent);
  const whole = CHUNKS * CHARS;
  for (const bytes of sent) assert.ok(bytes < whole / 2, `the upstream could send ${(bytes / MIB).toFixed(1)} of ${(whole / MIB).toFixed(1)} MiB`);
  assert.ok(grown < 64 * MIB, `grew by ${(grown / MIB).toFixed(0)} MiB`);
  for (const one of readers) one.resume();
  for (const one of readers) {
    const said = told((await one.finished).text);
    assert.deepEqual([said.done, said.error, said.text.length], [true, undefined, CHUNKS * CHARS]);
  }
  const { breaker, totals } = await set.untilServer(0, (server) => server.totals.successes === 2, "two successes");
  assert.deepEqual([breaker.consecutive_failures, totals.failures], [0, 0]);
});

test("thousands of requests later the memory is where it was", async (t) => {
  const gateway = await Gateway.start(t);
  const set = await stage(t, { gateway, servers: [{ max_concurrency: 64 }] });
  const round = async (count) => {
    let left = count;
    const lane = async () => {
      while (left > 0) {
        left -= 1;
        assert.equal((await (left % 3 === 0 ? set.stream() : set.ask())).status, 200);
      }
    };
    await Promise.all(Array.from({ length: 8 }, lane));
    return gateway.memory();
  };
  // The engine's heap grows to its usual size first.
  const warm = await round(1800);
  const later = await round(1200);
  assert.ok(later - warm < 32 * MIB, `${(warm / MIB).toFixed(0)} → ${(later / MIB).toFixed(0)} MiB`);
});
