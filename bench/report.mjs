// Medians over rounds, ratios to the floor, and the Markdown they are written as.
import { cpus, release, totalmem, type } from "node:os";

export function median(values) {
  const sorted = values.filter((value) => value !== undefined).sort((a, b) => a - b);
  if (sorted.length === 0) return undefined;
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

const number = (value, digits) => (value === undefined || Number.isNaN(value) ? "–" : value.toFixed(digits));
const ms = (micros, digits = 2) => number(micros === undefined ? undefined : micros / 1000, digits);

function table(head, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, at) => (at === 0 ? "---" : "---:"))), ...rows.map(line)].join("\n");
}

/** All rounds of one target at one level, each figure by its median. */
function summary(rounds) {
  // A round in which every request failed has no times: zeros would look like speed.
  const answered = rounds.filter((round) => round.requests > 0);
  const of = (pick) => median(answered.map(pick));
  const rates = rounds.map((round) => round.requests_per_second);
  return {
    rate: of((r) => r.requests_per_second),
    spread: [Math.min(...rates), Math.max(...rates)],
    p50: of((r) => r.latency_us.p50),
    p99: of((r) => r.latency_us.p99),
    mean: of((r) => r.latency_us.mean),
    first50: of((r) => r.first_token_us.p50),
    first99: of((r) => r.first_token_us.p99),
    gap50: of((r) => r.inter_token_us.p50),
    gap99: of((r) => r.inter_token_us.p99),
    tokens: of((r) => r.tokens / r.seconds),
    memory: of((r) => r.resident_mib),
    errors: rounds.reduce((sum, r) => sum + Object.values(r.errors).reduce((a, b) => a + b, 0), 0),
  };
}

function collected(samples, mode) {
  const groups = new Map();
  for (const sample of samples.filter((sample) => sample.mode === mode)) {
    const key = `${sample.report.connections}/${sample.target}`;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(sample.report);
  }
  const summaries = new Map([...groups].map(([key, rounds]) => [key, summary(rounds)]));
  return (connections, target) => summaries.get(`${connections}/${target}`);
}

function section(title, { levels, targets, of, head, cells }) {
  const rows = levels.flatMap((connections) =>
    targets.filter((target) => of(connections, target)).map((target) => [
      target,
      String(connections),
      ...cells(of(connections, target), (other) => of(connections, other)),
    ]),
  );
  return `## ${title}\n\n${table(["target", "connections", ...head], rows)}\n`;
}

const added = (figure, base) => (figure === undefined || base === undefined ? "–" : ms(figure - base));
const ratio = (figure, base) => (figure === undefined || !base ? "–" : number(figure / base, 2));

/** The whole file but for the notes, which are written by hand and kept. */
export function markdown({ samples, levels, targets, settings, versions }) {
  const plain = collected(samples, "plain");
  const stream = collected(samples, "stream");
  const burst = collected(samples, "burst");
  const common = { levels, targets };
  const errors = samples.reduce((sum, { report }) => sum + Object.values(report.errors).reduce((a, b) => a + b, 0), 0);
  const parts = [
    `# Benchmark\n\nWritten by \`node bench/run.mjs\`; only what stands below the line "Notes" is kept when it runs again.\n`,
    `${cpus().length} × ${cpus()[0]?.model ?? "unknown CPU"}, ${number(totalmem() / 2 ** 30, 0)} GiB, ${type()} ${release()}; workerd ${versions.workerd}, Node ${process.version}. ` +
      `Everything runs on this one machine over loopback: load generator (one thread), workerd, upstream (one thread). ` +
      `${settings.rounds} rounds of ${settings.seconds} s per figure, targets in turn within each round; medians over rounds, ` +
      `percentiles are medians of each round's percentile. Failed requests in all: ${errors}.\n`,
    `\`floor\` is a ten-line JavaScript pass-through with one object hop by fetch, \`floor-rpc\` the same by JS-RPC, ` +
      `\`floor-sql\` the same whose object inserts and deletes one SQLite row on disk before it answers.\n`,
  ];
  if (settings.modes.includes("plain")) {
    parts.push(
      section("Plain answers", {
        ...common,
        of: plain,
        head: ["req/s", "min–max", "÷ floor", "÷ floor-sql", "p50 ms", "p99 ms", "added p50 ms", "added to floor p50 ms", "memory MiB", "failed"],
        cells: (figures, at) => [
          number(figures.rate, 0),
          figures.spread.map((rate) => number(rate, 0)).join("–"),
          ratio(figures.rate, at("floor")?.rate),
          ratio(figures.rate, at("floor-sql")?.rate),
          ms(figures.p50),
          ms(figures.p99),
          added(figures.p50, at("direct")?.p50),
          added(figures.p50, at("floor")?.p50),
          number(figures.memory, 0),
          String(figures.errors),
        ],
      }),
    );
  }
  if (settings.modes.includes("stream")) {
    const { chunks, interval_ms } = settings.stream;
    parts.push(
      section(`Streams: ${chunks} tokens, one every ${interval_ms} ms`, {
        ...common,
        of: stream,
        head: ["streams/s", "first token p50 ms", "p99 ms", "added p50 ms", "added to floor p50 ms", "between tokens p50 ms", "p99 ms", "memory MiB", "failed"],
        cells: (figures, at) => [
          number(figures.rate, 1),
          ms(figures.first50),
          ms(figures.first99),
          added(figures.first50, at("direct")?.first50),
          added(figures.first50, at("floor")?.first50),
          ms(figures.gap50),
          ms(figures.gap99),
          number(figures.memory, 0),
          String(figures.errors),
        ],
      }),
    );
  }
  if (settings.modes.includes("burst")) {
    const { chunks } = settings.burst;
    parts.push(
      section(`Bursts: ${chunks} tokens with no pause`, {
        ...common,
        of: burst,
        head: ["tokens/s", "stream p50 ms", "p99 ms", "µs a token above direct", "above floor", "memory MiB", "failed"],
        cells: (figures, at) => {
          // At one connection this is time; above that, what each token takes of the whole machine.
          const each = (summary) => (summary?.tokens ? 1e6 / summary.tokens : undefined);
          const above = (base) => (base === undefined ? "–" : number(each(figures) - base, 1));
          return [
            number(figures.tokens, 0),
            ms(figures.p50),
            ms(figures.p99),
            above(each(at("direct"))),
            above(each(at("floor"))),
            number(figures.memory, 0),
            String(figures.errors),
          ];
        },
      }),
    );
  }
  return parts.join("\n");
}
