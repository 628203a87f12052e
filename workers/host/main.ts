// What the platform calls: requests, the minute, and one class for each kind of object.
import { ask } from "./calls";
import { describe, logError } from "./engine";
import type { Env } from "./env";
import { Exchange } from "./exchange";
import { fault } from "./fault";
import { gatewayOf } from "./gateway";
import { ObjectHost } from "./object";
import { nameIn, ownName, refusal } from "./refusal";

/** A round over hundreds of organisations takes seconds; the next one comes after a minute. */
const CRON_TIMEOUT_MS = 30_000;

let timeIsKept = false;

export default {
  async fetch(request, env, ctx) {
    if (env.ALARM_CRON === "1" && !timeIsKept) keepTime(env, ctx);
    if (env.FAULTS === "1") {
      const failed = await fault(request, env, ctx);
      if (failed !== undefined) return failed;
    }
    let gateway;
    try {
      gateway = gatewayOf(env);
    } catch (error) {
      const name = ownName();
      logError("misconfigured", error, { "request.id": nameIn(name) });
      return refusal(500, `The gateway cannot start: ${describe(error)}`, name);
    }
    return new Exchange(gateway, request, env, ctx).run();
  },

  async scheduled(_event, env, _ctx) {
    await ask(env, "directory", JSON.stringify({ command: "cron" }), CRON_TIMEOUT_MS);
  },
} satisfies ExportedHandler<Env>;

/** Without cron the directory keeps the minute by itself, once it has been told to. */
function keepTime(env: Env, ctx: ExecutionContext): void {
  timeIsKept = true;
  const told = ask(env, "directory", JSON.stringify({ command: "keep_time" }), CRON_TIMEOUT_MS);
  const again = (error: unknown) => {
    // The next request tries again.
    timeIsKept = false;
    logError("keep_time_failed", error);
  };
  ctx.waitUntil(told.then(() => undefined, again));
}

export class Directory extends ObjectHost {}
export class Fleet extends ObjectHost {}
export class Model extends ObjectHost {}
export class Instance extends ObjectHost {}
export class Key extends ObjectHost {}
export class Journal extends ObjectHost {}
export class Account extends ObjectHost {}
export class Ledger extends ObjectHost {}
