// The registry is out of reach: requests go on with what is known, and whoever needs it hears so in time.
import assert from "node:assert/strict";
import { test } from "node:test";
import { figure, ms } from "./harness/figures.mjs";
import { Gateway } from "./harness/gateway.mjs";
import { exchange } from "./harness/http.mjs";
import { answered, refused, stage } from "./harness/stage.mjs";

/** Longer than a snapshot or a key's record is used unasked, 5 s: twelve answers of 600 ms. */
const REQUESTS = 12;
const PACE = { chunks: 30, interval_ms: 20 };
const ANSWERED = Array.from({ length: PACE.chunks }, (_, n) => `w${n} `).join("");
/** What a request may wait for a registry that does not answer, once for its key and once for the servers. */
const PATIENCE_MS = 2 * 300;
/** And what a command may, with as much again for a busy machine. */
const COMMAND_MS = 2 * 10_000;

async function away(set, how) {
  const reply = await exchange(set.gateway.url, { path: `/debug/reach?object=fleet/${set.org}&how=${how}` });
  assert.equal(reply.status, 204);
}

for (const how of ["fails", "hangs"]) {
  test(`a registry that ${how} costs no request that it knows how to serve`, async (t) => {
    const gateway = await Gateway.start(t, { FAULTS: "1" });
    const set = await stage(t, { gateway, servers: 2 });
    const stranger = (await set.mint()).key;
    for (const upstream of set.upstreams) await upstream.behave("pace", PACE);
    answered(await set.ask(), ANSWERED);
    await away(set, how);
    const command = set.admin("GET", "servers");
    let slowest = 0;
    for (let n = 0; n < REQUESTS; n += 1) {
      const reply = await set.ask();
      answered(reply, ANSWERED);
      slowest = Math.max(slowest, reply.tookMs);
    }
    const nominal = PACE.chunks * PACE.interval_ms;
    assert.ok(slowest < nominal + PATIENCE_MS + 1000, `the slowest took ${slowest} ms`);
    figure(15, `${REQUESTS} of ${REQUESTS} while it ${how}, the slowest +${ms(slowest - nominal)}`);
    // It was out of reach all the time: who asks it by name hears so, and a key that nobody has seen yet is
    // not called invalid.
    const heard = await command;
    refused(heard, 503);
    assert.ok(heard.tookMs < COMMAND_MS, `${heard.tookMs} ms`);
    refused(await set.ask({}, { key: stranger }), 503);
    await away(set, "well");
    answered(await set.ask({}, { key: stranger }), ANSWERED);
    assert.equal((await set.admin("GET", "servers")).status, 200);
  });
}
