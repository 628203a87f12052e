// What a process has used, from /proc. Where there is none, everything here is undefined and the tables
// leave it out.
import { readFileSync } from "node:fs";

/** Linux counts processor time in hundredths of a second for every program. */
const MICROS_A_TICK = 10_000;

function read(pid, file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return undefined; // No /proc here, or the process has ended.
  }
}

/** Resident memory in MiB. */
export function residentMiB(pid) {
  const kib = read(pid, "status")?.match(/^VmRSS:\s+(\d+) kB$/m)?.[1];
  return kib === undefined ? undefined : Number(kib) / 1024;
}

/** Processor time of all its threads since it began, in microseconds. */
export function cpuMicros(pid) {
  // The second field is the program's name in parentheses, and may hold anything.
  const fields = read(pid, "stat")?.split(") ").at(-1)?.split(" ");
  return fields === undefined ? undefined : (Number(fields[11]) + Number(fields[12])) * MICROS_A_TICK;
}

/** The highest resident memory from now until `stop()`, in MiB. */
export function watchMemory(pid) {
  let highest;
  const look = () => {
    const now = residentMiB(pid);
    if (now !== undefined) highest = Math.max(highest ?? 0, now);
    return highest;
  };
  look();
  const timer = setInterval(look, 200);
  return {
    stop() {
      clearInterval(timer);
      return look();
    },
  };
}
