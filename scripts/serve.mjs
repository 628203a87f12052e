// `npm run serve`: the built bundle on bare workerd, objects on disk. For self-hosting and benchmarks.
// The environment it reads is described in docs/configuration.md.
import { build } from "./build.mjs";
import { assertFree } from "./ports.mjs";
import { Trouble, program, say, start, untilAnswering } from "./processes.mjs";
import { settings, workerd } from "./workerd.mjs";

await program(async () => {
  const chosen = settings();
  await assertFree("PORT", chosen.port, chosen.host);
  await build({ fast: process.argv.includes("--fast") });
  for (const note of chosen.notes) say(note);
  const { command, args, env } = workerd(chosen);
  const server = start("workerd", command, args, { env });
  const address = chosen.host === "0.0.0.0" || chosen.host === "::" || chosen.host === "*" ? "127.0.0.1" : chosen.host;
  const url = `http://${address.includes(":") ? `[${address}]` : address}:${chosen.port}`;
  await untilAnswering(`${url}/v1/models`, server, { seconds: 30 });
  console.log(`tidegate ready on ${url}`);
  throw new Trouble(`workerd ended by itself: ${await server.exit}`);
});
