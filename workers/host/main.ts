// What the platform calls: the handlers and the object classes, each a few lines over the Wasm exports.
import { DurableObject } from "cloudflare:workers";
import * as wasm from "tidegate-wasm";

interface Env {
  FLEET: DurableObjectNamespace<Fleet>;
}

const FAILED = { error: { message: "The gateway failed on its own account; try again.", type: "server_error", param: null, code: "internal_error" } };

// A trap (out of memory, stack overflow) leaves the instance unusable; start afresh before the next call.
function settle(error: unknown): Response {
  if (error instanceof WebAssembly.RuntimeError) wasm.__wbg_reset_state();
  console.error(error instanceof Error ? error.stack : String(error));
  return Response.json(FAILED, { status: 500 });
}

export default {
  async fetch(request, env, _ctx) {
    try {
      const path = new URL(request.url).pathname;
      if (path.startsWith("/direct/")) return new Response(`${wasm.probe_call(path.slice(8))}\n`);
      if (path.startsWith("/object/")) return new Response(`${await env.FLEET.getByName("probe").call(path.slice(8))}\n`);
      if (path === "/trap") return new Response(String(wasm.probe_trap()));
      return new Response("hello\n");
    } catch (error) {
      return settle(error);
    }
  },
  async scheduled(event, _env, _ctx) {
    console.log(`cron ${event.cron}`);
  },
} satisfies ExportedHandler<Env>;

class Host extends DurableObject<Env> {
  async call(message: string): Promise<string> {
    return wasm.probe_call(message);
  }
}

export class Directory extends Host {}
export class Fleet extends Host {}
export class Model extends Host {}
export class Instance extends Host {}
export class Key extends Host {}
export class Journal extends Host {}
