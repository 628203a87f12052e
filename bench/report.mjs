// The long form of a run: bench/RESULTS.md.
import { collect, kibAStream, median } from "./figures.mjs";
import { kib, minus, ms, number, over, table } from "./markdown.mjs";

const ABOUT = `\`direct\` is the upstream alone. \`floor\` is a ten-line JavaScript pass-through with one object hop by fetch, \`floor-rpc\` the same by JS-RPC, \`floor-sql\` the same whose object inserts and deletes one SQLite row on disk before it answers; \`floor-pump\` is \`floor\` with each chunk of a stream passed through JavaScript, which a gateway that counts tokens cannot do without. \`portkey-workerd\` and \`portkey-node\` are one and the same application on the two runtimes it is made for; it looks nothing up and asks no object. \`litellm\` is LiteLLM's proxy with one worker and no database. CPU is what the target's own process used for each answer, of all its threads; load generator and upstream are not in it.`;

function section(title, note, { levels, targets, of, head, cells }) {
  const rows = levels.flatMap((level) =>
    targets.filter((target) => of(level, target)).map((target) => [target, String(level), ...cells(of(level, target), (other) => of(level, other), target)]),
  );
  return `## ${title}\n\n${note ? `${note}\n\n` : ""}${table(["target", "connections", ...head], rows)}\n`;
}

function plain(run, figures) {
  return section("Plain answers", "", {
    ...run, levels: run.settings.levels, of: (level, target) => figures("plain", level, target),
    head: ["req/s", "min–max", "÷ floor", "÷ portkey-workerd", "CPU µs a request", "p50 ms", "p99 ms", "added p50 ms", "memory MiB", "failed"],
    cells: (own, at) => [
      number(own.rate), own.spread.map((rate) => number(rate)).join("–"), number(over(own.rate, at("floor")?.rate), 2),
      number(over(own.rate, at("portkey-workerd")?.rate), 2), number(own.cpu), ms(own.p50), ms(own.p99), ms(minus(own.p50, at("direct")?.p50)),
      number(own.memory), String(own.failed),
    ],
  });
}

function streams(run, figures) {
  const { chunks, interval_ms } = run.settings.stream;
  return section(`Streams: ${chunks} tokens, one every ${interval_ms} ms`, "", {
    ...run, levels: run.settings.levels, of: (level, target) => figures("stream", level, target),
    head: ["streams/s", "first token p50 ms", "p99 ms", "added p50 ms", "between tokens p50 ms", "p99 ms", "CPU µs a token", "memory MiB", "failed"],
    cells: (own, at) => [
      number(own.rate, 1), ms(own.first50), ms(own.first99), ms(minus(own.first50, at("direct")?.first50)), ms(own.gap50), ms(own.gap99),
      number(over(own.cpu, chunks)), number(own.memory), String(own.failed),
    ],
  });
}

function bursts(run, figures) {
  const { chunks } = run.settings.burst;
  return section(`Bursts: ${chunks} tokens with no pause`, "", {
    ...run, levels: run.settings.burstLevels, of: (level, target) => figures("burst", level, target),
    head: ["tokens/s", "÷ floor-pump", "÷ portkey-workerd", "CPU µs a token", "stream p50 ms", "p99 ms", "memory MiB", "failed"],
    cells: (own, at) => [
      number(own.tokens), number(over(own.tokens, at("floor-pump")?.tokens), 2), number(over(own.tokens, at("portkey-workerd")?.tokens), 2),
      number(over(own.cpu, chunks), 1), ms(own.p50), ms(own.p99), number(own.memory), String(own.failed),
    ],
  });
}

function long(run, figures) {
  const { chunks, interval_ms } = run.settings.long;
  const levels = run.settings.longLevels;
  const note = `All opened at once, on processes that had answered some dozen requests. Memory is resident: before, and the highest while the streams were open; what each stream takes is the slope between ${levels.join(" and ")} of them.`;
  return section(`Open streams: ${chunks} tokens, one every ${interval_ms} ms`, note, {
    ...run, levels, of: (level, target) => figures("long", level, target),
    head: ["whole", "failed", "first token p50 ms", "p99 ms", "between tokens p50 ms", "p99 ms", "longest ms", "CPU µs a token", "MiB before", "highest", "KiB a stream"],
    cells: (own, _, target) => [
      String(own.whole), String(own.failed), ms(own.first50, 0), ms(own.first99, 0), ms(own.gap50, 0), ms(own.gap99, 0), ms(own.gapMax, 0),
      number(over(own.cpu, chunks)), number(own.idleMemory), number(own.memory), number(kibAStream(figures, levels, target)),
    ],
  });
}

function startUp({ starts, isolates, sizes }) {
  const parts = ["## Start\n"];
  if (starts.length > 0) {
    const rows = starts.map(({ target, times }) => [target, number(median(times)), `${number(Math.min(...times))}–${number(Math.max(...times))}`, String(times.length)]);
    parts.push(`From the start of the process to its first whole chat completion; for Tidegate with the objects and keys of before on disk.\n\n${table(["target", "ms", "min–max", "starts"], rows)}\n`);
  }
  if (isolates) {
    const row = (name, { first, second }) => [name, number(median(first), 1), number(median(second), 1)];
    const share = minus(median(isolates.tidegate.first), median(isolates.empty.first));
    parts.push(
      `In a process that runs, a request to an isolate that has to be made for it, and a second one (medians of ${isolates.empty.first.length}):\n\n` +
        `${table(["isolate", "first ms", "second ms"], [row("an empty Worker", isolates.empty), row("Tidegate", isolates.tidegate)])}\n\n` +
        `So to parse the script, compile and instantiate the Wasm and answer takes ${number(share, 1)} ms more than an isolate takes anyhow.\n`,
    );
  }
  const { wasm, script } = sizes;
  parts.push(`The Wasm weighs ${kib(wasm.raw)} KiB, ${kib(wasm.gzip)} KiB compressed (budget ${kib(sizes.budget)}); the script ${kib(script.raw)} and ${kib(script.gzip)} KiB.\n`);
  return parts.join("\n");
}

/** The whole file but for the notes, which are written by hand and kept. */
export function report(run) {
  const figures = collect(run.samples);
  const { settings, samples } = run;
  const failed = samples.reduce((sum, { report }) => sum + report.failed, 0);
  const has = (mode) => samples.some((sample) => sample.mode === mode);
  const parts = [
    `# Benchmark\n\nWritten by \`node bench/run.mjs\`; only what stands below the line "Notes" is kept when it runs again.\n`,
    `${run.machine} Everything runs on this one machine over loopback: load generator (one thread), target, upstream (one thread). ` +
      `Rounds of ${settings.seconds} s, ${settings.rounds} for plain answers and ${settings.streamRounds} for streams, targets in turn within each round; ` +
      `medians over rounds, percentiles are medians of each round's percentile. Failed requests in all: ${failed}.\n`,
    `${ABOUT}\n`,
  ];
  if (run.missing.length > 0) parts.push(`**Missing:**\n\n${run.missing.map(({ name, why }) => `* ${name}: ${why}`).join("\n")}\n`);
  if (has("plain")) parts.push(plain(run, figures));
  if (has("stream")) parts.push(streams(run, figures));
  if (has("burst")) parts.push(bursts(run, figures));
  if (has("long")) parts.push(long(run, figures));
  parts.push(startUp(run));
  return parts.join("\n");
}
