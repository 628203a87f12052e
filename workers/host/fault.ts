// Failures on demand, only where the environment binds FAULTS=1: they prove that a panic or a trap, in
// the gateway or in an object, is answered at once and hurts no neighbour.
//
//   POST /debug/panic?where=edge           a panic in the gateway
//                     where=edge_trap      a trap there: the instance is replaced
//                     where=object         a panic in an object's turn, after a write
//                     where=object_trap    a trap there
//                     where=object_refused a statement that SQLite refuses
//                     where=object_count   tells in its error how many of those writes stayed
//   POST /debug/reach?object=fleet/acme&how=fails   this object is out of reach: calls to it fail,
//                                       how=hangs   or are never answered,
//                                       how=well    or are again
//   POST /debug/alarm?object=fleet/acme  its alarm is gone, and it does not know
import { faultIn, setReach } from "./calls";
import { describe } from "./engine";
import type { Env } from "./env";
import { Exchange } from "./exchange";
import { gatewayOf } from "./gateway";
import { refusal } from "./refusal";

const OBJECT = "directory";
const TIMEOUT_MS = 5_000;

export async function fault(request: Request, env: Env, ctx: ExecutionContext): Promise<Response | undefined> {
  const { pathname, searchParams } = new URL(request.url);
  if (request.method === "POST" && pathname === "/debug/reach") {
    const how = searchParams.get("how");
    setReach(searchParams.get("object") ?? "", how === "fails" || how === "hangs" ? how : undefined);
    return new Response(null, { status: 204 });
  }
  if (request.method === "POST" && pathname === "/debug/alarm") {
    await faultIn(env, searchParams.get("object") ?? "", "alarm", TIMEOUT_MS);
    return new Response(null, { status: 204 });
  }
  if (request.method !== "POST" || pathname !== "/debug/panic") return undefined;
  const [place, how = "panic"] = (searchParams.get("where") ?? "edge").split("_");
  if (place === "edge") {
    const gateway = gatewayOf(env);
    // The gateway as it is, but for a request's first event.
    const faulty = Object.create(gateway, { begin: { value: () => gateway.fault(how) } });
    return new Exchange(faulty, request, env, ctx).run();
  }
  try {
    await faultIn(env, OBJECT, how, TIMEOUT_MS);
  } catch (error) {
    return refusal(500, describe(error));
  }
  return refusal(500, "The fault did not happen.");
}
