// Mutation testing: cargo-mutants changes the code, one place at a time, and counts what the crate's tests
// notice.
//
//   npm run mutants                                 domain/, every mutant
//   npm run mutants -- --shard 0/8                  an eighth of them, spread over the crate
//   npm run mutants -- --file 'domain/src/queue/*'  one place
//   npm run mutants -- --package tidegate-vault     another crate
//
// Ends with the share of mutants that were caught, and fails below the threshold. What cargo-mutants wrote
// of each one, its difference and the tests' output, stays in target/mutants/mutants.out.
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { setPriority } from "node:os";
import { join } from "node:path";
import { cargoTool, rust } from "./install.mjs";
import { ROOT } from "./paths.mjs";
import { Trouble, program, runToEnd, say } from "./processes.mjs";

const THRESHOLD_PERCENT = 80;
const OUT = join(ROOT, "target", "mutants");
/** Exit codes of cargo-mutants that tell of a run that came to its end: all caught, some missed, some hung. */
const RAN = [0, 2, 3];

/** Slightly optimised: property tests run ten times as fast, and compiling takes hardly longer. */
const PROFILE = ['inherits="test"', "opt-level=1", "debug=0", "incremental=true"];

/** Outcomes of the run, counted by what became of the mutant. */
function counted() {
  const report = join(OUT, "mutants.out", "outcomes.json");
  if (!existsSync(report)) throw new Trouble("cargo-mutants wrote no report; its own words stand above");
  const { outcomes } = JSON.parse(readFileSync(report, "utf8"));
  const mutants = outcomes.filter(({ scenario }) => scenario !== "Baseline");
  const of = (summary) => mutants.filter((outcome) => outcome.summary === summary).length;
  // One that hangs is noticed as well. Unviable ones do not compile and say nothing.
  return { caught: of("CaughtMutant") + of("Timeout"), missed: of("MissedMutant"), unviable: of("Unviable") };
}

await program(async () => {
  const args = process.argv.slice(2);
  await rust();
  const mutants = await cargoTool("cargo-mutants");
  mkdirSync(OUT, { recursive: true });
  // Hours of compiling: whatever else the machine does goes first. Children inherit it.
  setPriority(19);
  const profile = PROFILE.flatMap((setting) => ["--cargo-arg=--config", `--cargo-arg=profile.mutants.${setting}`]);
  const began = Date.now();
  const { code } = await runToEnd(mutants, [
    "mutants", "--output", OUT, "--profile", "mutants", ...profile, "--cargo-arg=--lib",
    ...(args.includes("--package") ? [] : ["--package", "tidegate-domain"]),
    ...(args.includes("--shard") ? ["--sharding", "round-robin"] : []), "--timeout", "60", ...args,
  ], { env: { RUSTC_WRAPPER: "", CARGO_TARGET_DIR: join(OUT, "target") } });
  if (!RAN.includes(code)) throw new Trouble(`cargo-mutants ended with ${code}: are the tests green without it?`);
  const { caught, missed, unviable } = counted();
  if (caught + missed === 0) throw new Trouble("there was no mutant that compiles in what was chosen");
  const percent = (100 * caught) / (caught + missed);
  say(`${caught} of ${caught + missed} mutants caught, ${percent.toFixed(1)} % (${unviable} more do not compile), in ${Math.round((Date.now() - began) / 60_000)} min`);
  if (percent < THRESHOLD_PERCENT) throw new Trouble(`fewer than ${THRESHOLD_PERCENT} % are caught; the missed ones stand above`);
});
