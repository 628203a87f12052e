// Effects that end in one event: what to tell the gateway when they are over, good or bad.
import type { EdgeHandle } from "tidegate-wasm";
import { askOrWhy, probe } from "./calls";
import type { AskEffect, ProbeEffect } from "./effects";
import { describe } from "./engine";
import type { Env } from "./env";

/** Tells the gateway; what comes back are effects. */
export type Report = (edge: EdgeHandle, id: number, now: number) => string;

/** Never rejects. */
export async function asked({ call, to, message, timeout_ms }: AskEffect, env: Env): Promise<Report> {
  const [ok, said] = await askOrWhy(env, to, message, timeout_ms);
  return (edge, id, now) => edge.answered(id, now, call, ok, said);
}

/** Never rejects. */
export async function probed(effect: ProbeEffect): Promise<Report> {
  try {
    const { status, body, latency_ms } = await probe(effect);
    return (edge, id, now) => edge.probed(id, now, effect.call, status, body, latency_ms);
  } catch (error) {
    return (edge, id, now) => edge.probed(id, now, effect.call, undefined, describe(error), 0);
  }
}
