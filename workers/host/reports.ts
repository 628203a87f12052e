// Effects that end in one event: what to tell the gateway when they are over, good or bad.
import type { EdgeHandle } from "tidegate-wasm";
import { probe } from "./calls";
import type { ProbeEffect } from "./effects";
import { describe } from "./engine";

/** Tells the gateway; what comes back are effects. */
export type Report = (edge: EdgeHandle, id: number, now: number) => string;

/** Never rejects. */
export async function probed(effect: ProbeEffect): Promise<Report> {
  try {
    const { status, body, latency_ms } = await probe(effect);
    return (edge, id, now) => edge.probed(id, now, effect.call, status, body, latency_ms);
  } catch (error) {
    return (edge, id, now) => edge.probed(id, now, effect.call, undefined, describe(error), 0);
  }
}
