// The short form of a run: the table in README.md, and how it stands against the targets.
import { collect, kibAStream, median } from "./figures.mjs";
import { kib, minus, ms, number, over, table } from "./markdown.mjs";

/** Requests at once for the figures that need one level. */
const LEVEL = 16;

const names = ({ portkey, litellm }) => ({
  tidegate: "**Tidegate**",
  floor: "a pass-through of ten lines, one object hop",
  "floor-pump": "the same, each chunk through JavaScript",
  "portkey-workerd": `Portkey ${portkey}, same runtime`,
  "portkey-node": `Portkey ${portkey}, Node`,
  litellm: `LiteLLM ${litellm}, one worker`,
});

function rows(run, figures) {
  const { longLevels, burst } = run.settings;
  const most = Math.max(...longLevels);
  const measured = new Set(run.samples.map(({ target }) => target));
  const shown = Object.entries(names(run.versions)).filter(([target]) => measured.has(target));
  return shown.map(([target, name]) => {
    const at = (mode, level) => figures(mode, level, target);
    const open = at("long", most);
    return [
      name,
      number(at("plain", LEVEL)?.rate),
      number(at("plain", LEVEL)?.cpu),
      ms(minus(at("plain", 1)?.p50, figures("plain", 1, "direct")?.p50)),
      ms(minus(at("stream", 1)?.first50, figures("stream", 1, "direct")?.first50)),
      number(over(at("burst", LEVEL)?.cpu, burst.chunks)),
      open ? `${open.whole} of ${open.whole + open.failed}` : "–",
      number(kibAStream(figures, longLevels, target)),
      number(median(run.starts.find((one) => one.target === target)?.times ?? [])),
    ];
  });
}

/** Each `{ wanted, is, met, why? }`, for what was measured. */
export function verdicts(run) {
  const figures = collect(run.samples);
  const rate = (target) => figures("plain", LEVEL, target)?.rate;
  const ours = rate("tidegate");
  const all = [];
  const judge = (wanted, value, met, is, why) => {
    if (value !== undefined && Number.isFinite(value)) all.push({ wanted, met: met(value), is: is(value), why });
  };
  const times = (value) => `${number(value, 2)} ×`;
  for (const [target, runtime, why] of [
    ["portkey-workerd", "on the same runtime", `no Worker could be: the pass-through, which decides nothing, is ${times(over(rate("floor"), rate("portkey-workerd")))} Portkey's there, because the runtime's own work for a request outweighs that of any gateway`],
    ["portkey-node", "on Node"],
  ]) {
    judge(`at least 10 × Portkey's throughput ${runtime}`, over(ours, rate(target)), (v) => v >= 10, times, why);
  }
  judge("at least 0.8 × the pass-through's throughput", over(ours, rate("floor")), (v) => v >= 0.8, times, "authentication, admission and settlement are real, and each thing that is awaited costs: the object call, both bodies, timers; the Wasm is the smaller part");
  const added = (mode, pick) => minus(pick(figures(mode, 1, "tidegate")), pick(figures(mode, 1, "direct")));
  judge("at most 1 ms added to a plain answer", added("plain", (f) => f?.p50), (v) => v <= 1000, (v) => `${ms(v)} ms`, `the pass-through adds ${ms(minus(figures("plain", 1, "floor")?.p50, figures("plain", 1, "direct")?.p50))} ms`);
  judge("at most 1 ms added to the first token", added("stream", (f) => f?.first50), (v) => v <= 1000, (v) => `${ms(v)} ms`, `the pass-through adds ${ms(minus(figures("stream", 1, "floor")?.first50, figures("stream", 1, "direct")?.first50))} ms`);
  const most = Math.max(...run.settings.longLevels);
  const open = figures("long", most, "tidegate");
  judge(`${most} open streams, all whole`, open?.whole, (v) => v === most && open.failed === 0, (v) => `${v} whole, ${open.failed} failed`);
  judge(`Wasm of at most ${kib(run.sizes.budget)} KiB compressed`, run.sizes.wasm.gzip, (v) => v <= run.sizes.budget, (v) => `${kib(v)} KiB`);
  return all;
}

/** What stands between the marks in README.md. */
export function summary(run) {
  const figures = collect(run.samples);
  const most = Math.max(...run.settings.longLevels);
  const head = ["", `requests/s, ${LEVEL} at once`, "CPU µs a request", "added to an answer, ms", "to the first token, ms", "CPU µs a token", `${most} streams open: whole`, "KiB a stream", "start to first answer, ms"];
  const judged = verdicts(run).map(({ wanted, is, met, why }) => `* ${met ? "Met" : "**Missed**"}: ${wanted} (${is})${met || !why ? "" : `: ${why}`}.`);
  const missing = run.missing.length > 0 ? `\nNot measured: ${run.missing.map(({ name, why }) => `${name} (${why})`).join("; ")}.\n` : "";
  return `Measured ${run.date} side by side in one run${run.settings.quick ? " (a short one)" : ""}, medians: ${run.machine} All tables: [bench/RESULTS.md](bench/RESULTS.md); again on your machine: \`node bench/run.mjs\`.

${table(head, rows(run, figures))}
${missing}
Portkey authenticates nobody, looks nothing up and asks no object; LiteLLM checks one key in memory. Against what was aimed at:

${judged.join("\n")}`;
}
