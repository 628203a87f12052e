// Other programs, started by one test process and ended with it, each by its pid.
import { spawn } from "node:child_process";
import { openSync } from "node:fs";
import { createInterface } from "node:readline";

const alive = new Set();
// Also after a failed assertion nothing of ours goes on.
process.on("exit", () => {
  for (const child of alive) child.kill("SIGKILL");
});

/** A program that runs; `exit` resolves with how it ended. */
export class Running {
  ended = false;
  #child;
  #name;

  /** `speaks`: its first lines are read with `line()`; else all it says goes to the log. */
  constructor(name, command, args, { env = {}, log, speaks = false } = {}) {
    this.#name = name;
    const said = log === undefined ? "ignore" : openSync(log, "a");
    // Standard input is a pipe: some programs end when its other end is gone. A standard output that is a
    // pipe must be read to the end, or its writer stands still once 64 KiB are in it.
    this.#child = spawn(command, args, { stdio: ["pipe", speaks ? "pipe" : said, said], env: { ...process.env, ...env } });
    alive.add(this.#child);
    this.exit = new Promise((resolve) => {
      const end = (why) => {
        this.ended = true;
        alive.delete(this.#child);
        resolve(why);
      };
      this.#child.on("error", (error) => end(error.message));
      this.#child.on("exit", (code, signal) => end(signal ?? `exit code ${code}`));
    });
  }

  get name() {
    return this.#name;
  }

  get pid() {
    return this.#child.pid;
  }

  /** The first line of standard output that `accept` takes. */
  async line(accept = () => true) {
    const lines = createInterface({ input: this.#child.stdout });
    const found = new Promise((resolve) => lines.on("line", (line) => accept(line) && resolve(line)));
    const ended = this.exit.then((why) => {
      throw new Error(`${this.#name} ended (${why}) before it was ready`);
    });
    return Promise.race([found, ended]);
  }

  /** Ends it and waits until it has. */
  async end(signal = "SIGTERM") {
    if (!this.ended) this.#child.kill(signal);
    return this.exit;
  }
}
