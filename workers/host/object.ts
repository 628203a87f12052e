// A Durable Object: turns in, effects out.
//
// Invariant: a turn is one transaction. When anything throws in it, its writes are rolled back, the handle
// is dropped, callers that were told to wait are told so, and the next turn loads the object from what is
// stored. Effects run after the commit; the platform holds them back until the writes are on disk.
import { DurableObject } from "cloudflare:workers";
import { ObjectHandle, type SqlPort } from "tidegate-wasm";
import { ask, probe } from "./calls";
import { type GetEffect, type ObjectEffect, type Outcome, type PostEffect, type Turn, unknown } from "./effects";
import { currentGeneration, describe, enter, logError } from "./engine";
import type { Env } from "./env";
import { openBearer, refusal } from "./gateway";
import { Lanes } from "./lanes";
import { callVendor } from "./vendor";

interface Caller {
  resolve(reply: string): void;
  reject(error: Error): void;
}

const SEND_TIMEOUT_MS = 10_000;
/** A directory pokes hundreds of fleets in one turn: enough at once to be done in seconds. */
const SENDS_AT_ONCE = 50;
/** workerd loses an alarm that its own handler sets for a moment which comes before the handler has quite
 * ended (seen for 1 ms later). Timers that lie so close together are one ring. */
const ALARM_GAP_MS = 50;
const ALARM_RETRY_BASE_MS = 2_000;
const ALARM_RETRY_CAP_MS = 60_000;

export class ObjectHost extends DurableObject<Env> {
  #handle: ObjectHandle | undefined;
  #madeIn = -1;
  /** Counts loads: effects of an earlier life must not report to this one, whose numbers begin anew. */
  #life = 0;
  #waiting = new Map<number, Caller>();
  #lanes = new Lanes(SENDS_AT_ONCE);
  #failedAlarms = 0;
  /** The alarm's own handler runs; an alarm that is wanted meanwhile is set at its end. */
  #ringing = false;
  #wanted: number | undefined;
  readonly #sql: SqlPort = {
    exec: (statement, values) => Array.from(this.ctx.storage.sql.exec(statement, ...values).raw()),
  };

  /** One message, one answer. */
  async call(message: string): Promise<string> {
    const turn = this.#turn((handle, now) => handle.call(now, message));
    const { reply } = turn;
    if (reply === undefined) throw new Error(`${this.#name()} took the message and gave no answer`);
    // Before the effects: one of them may be this caller's answer.
    const answer = "now" in reply ? reply.now : this.#later(reply.later);
    this.#behind(this.#perform(turn));
    return answer;
  }

  /** Catches everything and arms the next alarm: the platform gives up on one that throws six times. Effects
   * go on behind it, so that a slow health check does not hold up the next ring. */
  override async alarm(): Promise<void> {
    this.#ringing = true;
    this.#wanted = undefined;
    try {
      this.#behind(this.#perform(this.#turn((handle, now) => handle.alarm(now))));
      this.#failedAlarms = 0;
    } catch (error) {
      logError("alarm_failed", error, { object: this.ctx.id.name });
      const pause = Math.min(ALARM_RETRY_BASE_MS * 2 ** this.#failedAlarms, ALARM_RETRY_CAP_MS);
      this.#failedAlarms += 1;
      this.#wanted = Date.now() + pause;
    }
    this.#ringing = false;
    if (this.#wanted !== undefined) this.#arm(Math.max(this.#wanted, Date.now() + ALARM_GAP_MS));
  }

  /** For tests: fails in the middle of a turn, or loses its alarm as the platform may. */
  async fault(how: string): Promise<void> {
    if (this.env.FAULTS !== "1") throw new Error("there are no faults on demand here");
    if (how === "alarm") return this.ctx.storage.deleteAlarm();
    this.#transact((handle) => handle.fault(how));
  }

  #name(): string {
    const { name } = this.ctx.id;
    if (name === undefined) throw new Error("an object was called by its id; objects here go by their names");
    return name;
  }

  #turn(run: (handle: ObjectHandle, now: number) => string): Turn {
    return JSON.parse(this.#transact(run)) as Turn;
  }

  #transact<T>(run: (handle: ObjectHandle, now: number) => T): T {
    const now = Date.now();
    try {
      return this.ctx.storage.transactionSync(() => enter(() => run(this.#open(now), now)));
    } catch (error) {
      this.#drop();
      logError("turn_failed", error, { object: this.ctx.id.name });
      throw new Error(`The turn of ${this.ctx.id.name} was rolled back: ${describe(error)}`);
    }
  }

  #open(now: number): ObjectHandle {
    // A trap elsewhere in the isolate has taken this object's memory with it.
    if (this.#madeIn !== currentGeneration()) this.#drop();
    if (this.#handle === undefined) {
      this.#handle = new ObjectHandle(now, this.#name(), this.#sql);
      this.#madeIn = currentGeneration();
      this.#life += 1;
    }
    return this.#handle;
  }

  #drop(): void {
    this.#handle = undefined;
    this.#life += 1;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const caller of waiting) caller.reject(new Error("The object was loaded anew; ask again."));
  }

  #later(ticket: number): Promise<string> {
    return new Promise((resolve, reject) => this.#waiting.set(ticket, { resolve, reject }));
  }

  #arm(at: number): void {
    if (this.#ringing) {
      this.#wanted = at;
      return;
    }
    this.ctx.storage.setAlarm(at).catch((error: unknown) => {
      logError("set_alarm_failed", error, { object: this.ctx.id.name });
      // A new life knows of no alarm and sets one in its first turn.
      this.#drop();
    });
  }

  /** Starts a turn's effects, and those of the turns that follow from them; nothing when there are none. */
  #perform(turn: Turn): Promise<void> | undefined {
    if (turn.alarm_at_ms !== undefined) this.#arm(turn.alarm_at_ms);
    if (turn.effects === undefined || turn.effects.length === 0) return undefined;
    const work = turn.effects.map((effect) => this.#performOne(effect));
    return Promise.all(work).then(() => undefined);
  }

  #performOne(effect: ObjectEffect): Promise<void> | undefined {
    const life = this.#life;
    switch (effect.effect) {
      case "send": {
        const { id, to, message } = effect;
        const send = () => this.#lanes.run(() => ask(this.env, to, message, SEND_TIMEOUT_MS));
        return this.#report(life, id, send().then((reply) => ({ outcome: "delivered", reply })));
      }
      case "get":
      case "post":
        return this.#report(life, effect.id, this.#callServer(effect));
      case "vendor":
        return this.#report(life, effect.id, callVendor(this.env, effect));
      case "resolve":
        this.#waiting.get(effect.ticket)?.resolve(effect.reply);
        this.#waiting.delete(effect.ticket);
        return undefined;
      case "soon":
        return elapse(effect.after_ms).then(() => this.#followUp(life, (handle, now) => handle.soon(now)));
      default:
        return unknown(effect);
    }
  }

  async #callServer(effect: GetEffect | PostEffect): Promise<Outcome> {
    const { url, bearer, timeout_ms } = effect;
    // The registry let this address in some time ago; what may be called is decided by today's switches.
    const reason = refusal(this.env, url);
    if (reason !== undefined) return { outcome: "refused", reason };
    const opened = bearer === undefined ? undefined : openBearer(this.env, bearer);
    const body = effect.effect === "post" ? effect.body : undefined;
    return { outcome: "fetched", ...(await probe({ url, bearer: opened, body, timeout_ms })) };
  }

  async #report(life: number, id: number, work: Promise<Outcome>): Promise<void> {
    const outcome = await work.catch((error: unknown): Outcome => ({ outcome: "failed", reason: describe(error) }));
    const text = JSON.stringify(outcome);
    await this.#followUp(life, (handle, now) => handle.done(now, id, text));
  }

  /** A turn that nobody called for. */
  async #followUp(life: number, run: (handle: ObjectHandle, now: number) => string): Promise<void> {
    if (life !== this.#life || this.#madeIn !== currentGeneration()) return;
    try {
      await this.#perform(this.#turn(run));
    } catch {
      // Logged where it was thrown. What the turn would have settled is repeated by the next alarm.
    }
  }

  #behind(work: Promise<void> | undefined): void {
    if (work !== undefined) this.ctx.waitUntil(work);
  }
}

function elapse(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
