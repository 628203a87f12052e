// Files of the build, from whatever holds them: Cloudflare's assets or a disk service of workerd's. Which
// there are and what headers they leave with is the gateway's to say.
import type { HeaderLines } from "./effects";
import { logError } from "./engine";
import type { Env } from "./env";
import { unflatten } from "./headers";
import { ownFault } from "./refusal";

/** Never rejects. */
export async function asset(env: Env, file: string, headers: HeaderLines): Promise<Response> {
  try {
    const found = await env.ASSETS.fetch(`http://assets/${file}`);
    if (found.status !== 200) throw new Error(`the build has no asset ${file} (status ${found.status})`);
    return new Response(found.body, { headers: unflatten(headers) });
  } catch (error) {
    logError("asset_failed", error);
    return ownFault(headers.filter(([name]) => name === "x-request-id"));
  }
}
