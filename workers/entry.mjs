// What the platform calls: the handlers and the object classes, each a few lines over the Wasm exports.
import { DurableObject } from "cloudflare:workers";
import * as wasm from "tidegate-wasm";

// A trap (out of memory, stack overflow) leaves the instance unusable; start afresh before the next call.
function settle(error) {
  if (error instanceof WebAssembly.RuntimeError) wasm.__wbg_reset_state();
  console.error(String(error?.stack ?? error));
  return Response.json(
    { error: { message: "The gateway failed on its own account. Nothing was stored; try again.", type: "server_error", param: null, code: "internal_error" } },
    { status: 500 },
  );
}

let held;

export default {
  async fetch(request, env, ctx) {
    const path = new URL(request.url).pathname;
    try {
      if (path.startsWith("/direct/")) return new Response(wasm.probe_call(path.slice(8)) + "\n");
      if (path === "/rpc") return new Response((await env.FLEET.getByName("probe").add(41)) + "\n");
      if (path === "/rpc/panic") return new Response(await env.FLEET.getByName("probe").fail());
      if (path === "/throw") return new Response(wasm.probe_throw());
      if (path.startsWith("/held/")) return new Response((held ??= new wasm.Held()).step(path.slice(6)) + "\n");
      if (path.startsWith("/cross/")) {
        const text = "x".repeat(300);
        for (let i = 0; i < Number(path.slice(7)); i++) wasm.probe_call(text);
        return new Response("done\n");
      }
      if (path === "/trap") return new Response(String(wasm.probe_trap()));
      return await wasm.fetch(request, env, ctx);
    } catch (error) {
      return settle(error);
    }
  },
  async scheduled(event, env) {
    console.log(`cron ${event.cron} ${typeof env.DIRECTORY}`);
  },
};

class Host extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    this.inner = new wasm.Probe(ctx, env);
    this.sql = ctx.storage.sql;
    this.sql.exec("CREATE TABLE IF NOT EXISTS counted (n INTEGER NOT NULL)");
  }
  async fetch(request) {
    try {
      return await this.inner.fetch(request);
    } catch (error) {
      return settle(error);
    }
  }
  add(n) {
    this.sql.exec("INSERT INTO counted VALUES (?)", n);
    return `${n + 1} (${wasm.probe_call("direct")}, ${this.sql.exec("SELECT count(*) AS n FROM counted").one().n} rows)`;
  }
  fail() {
    return wasm.probe_call("panic");
  }
}

export class Directory extends Host {}
export class Fleet extends Host {}
export class Model extends Host {}
export class Instance extends Host {}
export class Key extends Host {}
export class Journal extends Host {}
