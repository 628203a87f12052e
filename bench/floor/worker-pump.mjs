// The floor for a gateway that must see each chunk of a stream (to count tokens, to tell a break from an
// end): the same hop, then each chunk through JavaScript, which does nothing with it.
export class Hop {
  async fetch() {
    return new Response("ok");
  }
}

async function pump(from, controller) {
  const reader = from.getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return controller.close();
    controller.enqueue(value);
  }
}

export default {
  async fetch(request, env, ctx) {
    const body = await request.arrayBuffer();
    const hop = env.HOP.get(env.HOP.idFromName("floor"));
    await (await hop.fetch("http://hop/")).text();
    const answer = await fetch(env.UPSTREAM + new URL(request.url).pathname, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    const stream = new ReadableStream({ start: (controller) => ctx.waitUntil(pump(answer.body, controller)) });
    return new Response(stream, answer);
  },
};
