// A gateway that dies while it rents and while it gives back.
import assert from "node:assert/strict";
import { test } from "node:test";
import { SECRET } from "./harness/gateway.mjs";
import { office } from "./harness/office.mjs";

const NEXT_SECRET = "the-next-secret-for-tests-only-000000000000000";

test("a gateway that is killed in the middle loses no machine", { timeout: 300_000 }, async (t) => {
  const it = await office(t, { vendors: ["runpod", "aws"] });
  // The answer to create takes longer than the gateway lives.
  await it.cloud.fault({ operation: "create", times: 2, fault: { do: "delay", ms: 3_000 } });
  const { id: public_ } = await it.launch();
  const { id: other } = await it.launch({ constraints: { vendor: "aws" } });
  await it.cloud.order("GET", "machines?count=2&wait_ms=30000");
  await it.gateway.kill();
  await it.gateway.restart();
  await it.until(public_, "ready", { within: 180_000 });
  await it.until(other, "ready_unreachable", { within: 180_000 });
  for (const id of [public_, other]) assert.equal((await it.machines(id)).length, 1, "and rents none twice");
  // Its secret is replaced while they run, and the ids of before still name them.
  await it.gateway.kill();
  await it.gateway.restart({ TIDEGATE_SECRET: NEXT_SECRET, TIDEGATE_SECRET_PREVIOUS: SECRET });
  // Killed again while it gives back.
  for (const id of [public_, other]) await it.demand(200, "POST", `instances/${id}/terminate`);
  await it.gateway.kill();
  await it.gateway.restart();
  for (const id of [public_, other]) await it.until(id, "terminated", { within: 180_000 });
  assert.equal((await it.cloud.meter()).totals.billing_machines, 0);
});
