// Panics and traps on demand: answered at once, no neighbour hurt, no stored fact lost.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Gateway } from "./harness/gateway.mjs";
import { exchange, told } from "./harness/http.mjs";
import { answered, assertEnvelope, refused, stage } from "./harness/stage.mjs";

const AT_ONCE_MS = 1000;
const fail = (gateway, where) => exchange(gateway.url, { path: `/debug/panic?where=${where}` });

async function withNeighbours(t, where, judge) {
  const gateway = await Gateway.start(t, { FAULTS: "1" });
  const set = await stage(t, { gateway });
  await set.upstreams[0].behave("pace", { chunks: 30, interval_ms: 40 });
  const neighbours = Array.from({ length: 5 }, () => set.open({ stream: true }));
  const plain = set.open();
  for (const one of neighbours) await one.until((other) => other.text.includes("w1"));
  for (let n = 0; n < 3; n += 1) {
    const reply = await fail(gateway, where);
    refused(reply, 500, "internal_error");
    assert.ok(reply.tookMs < AT_ONCE_MS, `${reply.tookMs} ms`);
  }
  for (const one of [...neighbours, plain]) await one.finished;
  judge(neighbours, plain);
  await set.upstreams[0].heal();
  answered(await set.ask());
  assert.equal(told((await set.stream()).text).done, true);
  const servers = await set.demand(200, "GET", "servers");
  assert.deepEqual(servers.data.map((server) => server.id), set.servers, "no fact is lost");
  return { gateway, set };
}

const unharmed = (neighbours, plain) => {
  const whole = Array.from({ length: 30 }, (_, n) => `w${n} `).join("");
  for (const one of neighbours) {
    const said = told(one.text);
    assert.deepEqual([one.end, said.text, said.done, said.error], ["complete", whole, true, undefined]);
  }
  answered(plain, whole);
};

for (const where of ["edge", "object", "object_refused"]) {
  test(`a panic (${where}) is a 500 at once, and its neighbours do not notice`, async (t) => {
    const { gateway } = await withNeighbours(t, where, unharmed);
    const counted = await fail(gateway, "object_count");
    assert.match(counted.json.error.message, /rows: Some\(0\)/, "what the turn had written was rolled back");
  });
}

for (const where of ["edge_trap", "object_trap"]) {
  test(`a trap (${where}) is a 500 at once; streams under way end with an error event, never in silence`, async (t) => {
    // A trap takes the memory of the whole instance, and with it what streams have in it.
    await withNeighbours(t, where, (neighbours, plain) => {
      for (const one of neighbours) {
        const said = told(one.text);
        assert.equal(one.end, "complete");
        assert.ok(said.done !== (said.error !== undefined), `either whole or an error: ${one.text.slice(-300)}`);
        if (said.error) assertEnvelope(said.error);
      }
      assert.equal(plain.end, "complete");
      assert.ok([200, 500].includes(plain.status));
    });
  });
}

test("without the switch the faults are not there", async (t) => {
  const set = await stage(t);
  refused(await fail(set.gateway, "edge"), 404, "not_found");
});
