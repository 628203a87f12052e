// A vendor that is down: what runs goes on serving, what is to end ends when it is back, and nothing bills unseen.
import assert from "node:assert/strict";
import { test } from "node:test";
import { office } from "./harness/office.mjs";
import { eventually } from "./harness/stage.mjs";

/** Ten minutes in the long form. */
const OUTAGE_MS = process.env.TIDEGATE_E2E_FULL === "1" ? 600_000 : 15_000;

test(`a vendor that is down for ${OUTAGE_MS / 1000} s`, { timeout: OUTAGE_MS + 400_000 }, async (t) => {
  const it = await office(t, { vendors: ["runpod"] });
  const client = await it.client();
  const { id: serving } = await it.launch();
  const { id: ending } = await it.launch();
  for (const id of [serving, ending]) await it.until(id, "ready");

  const began = Date.now();
  await it.cloud.fault({ vendor: "runpod", for_ms: OUTAGE_MS, fault: { do: "html", status: 503 } });
  await it.demand(200, "POST", `instances/${ending}/terminate`);
  let answered = 0;
  const meanwhile = async () => {
    assert.equal(await it.hello(client), "Hello! How can I help you today?");
    assert.equal((await it.instance(serving)).status, "ready", "it serves without its vendor");
    answered += 1;
    return it.instance(ending);
  };
  await eventually(meanwhile, ({ status }) => status === "terminated", { within: OUTAGE_MS + 180_000, what: "the end of what was to end" });
  assert.ok(answered > 5 && Date.now() - began > OUTAGE_MS, `${answered} answers`);
  t.diagnostic(`${answered} requests answered while the vendor was down, and its machine gone ${Date.now() - began - OUTAGE_MS} ms after`);

  await it.end(serving);
  const { machines, totals } = await it.cloud.meter();
  assert.deepEqual([machines.length, totals.billing_machines], [2, 0]);
  const due = machines.reduce((sum, { microusd }) => sum + microusd, 0);
  const owed = await eventually(() => it.owed("runpod"), (owed) => owed === due, { within: 120_000, what: `${due} micro-dollars in the books` });
  assert.equal(owed, due);
});
