// The floor with the hop made by JS-RPC instead of fetch: one string there, one back.
import { DurableObject } from "cloudflare:workers";

export class Hop extends DurableObject {
  admit(request) {
    return request;
  }
}

export default {
  async fetch(request, env) {
    const body = await request.arrayBuffer();
    const hop = env.HOP.get(env.HOP.idFromName("floor"));
    await hop.admit('{"request":"0123456789abcdef"}');
    return fetch(env.UPSTREAM + new URL(request.url).pathname, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
  },
};
