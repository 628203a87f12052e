// What this isolate has one of: the gateway, the vault that opens what objects hold sealed, the gate that
// their calls pass, and the vendors' codecs. Made when first needed, made anew after a trap; what the gateway
// remembers (snapshots, key records) is only a cache.
import { EdgeHandle, GateHandle, VaultHandle, VendorHandle } from "tidegate-wasm";
import type { Bearer } from "./effects";
import { currentGeneration, enter } from "./engine";
import { type Env, bindings } from "./env";

/** Makes a thing once for each instance of the Wasm. */
function once<T>(make: (bindings: string) => T): (env: Env) => T {
  let made: { thing: T; generation: number } | undefined;
  return (env) => {
    if (made?.generation !== currentGeneration()) {
      const thing = enter(() => make(bindings(env)));
      made = { thing, generation: currentGeneration() };
    }
    return made.thing;
  };
}

/** Throws when the environment is not one to run in, in words that name the binding. */
export const gatewayOf = once((text) => new EdgeHandle(text));

const vaultOf = once((text) => new VaultHandle(text));

const gateOf = once((text) => new GateHandle(text));

/** What it prepares and reads is not for logs. */
export const vendorsOf = once((text) => new VendorHandle(text));

/** Why this URL may not be called, if it may not. */
export function refusal(env: Env, url: string): string | undefined {
  const gate = gateOf(env);
  return enter(() => gate.refusal(url));
}

/** The token itself. Not for logs. */
export function openBearer(env: Env, { org, record, sealed }: Bearer): string {
  const vault = vaultOf(env);
  return enter(() => vault.openBearer(org, record, sealed));
}
