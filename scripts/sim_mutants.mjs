// Breaks what rents on purpose, one rule at a time, and shows that the simulation notices.
//
//   npm run sim:mutants                       every break
//   npm run sim:mutants -- --only cap,alarm   these
//   npm run sim:mutants -- --runs 10000       more seeds for each (3,000)
//
// A copy of the sources under target/ is changed, never the sources. Ends with a table: the break, the first seed
// that failed and the property that did not hold. Fails when one was not noticed, and when one does not apply any
// more: then the code has moved on and the break must follow.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";
import { dirname, join, relative } from "node:path";
import { rust } from "./install.mjs";
import { ROOT } from "./paths.mjs";
import { Trouble, program, runToEnd, say } from "./processes.mjs";

const OUT = join(ROOT, "target", "sim-mutants");
const TREE = join(OUT, "tree");
/** Built for each break: quickly, and quick enough to run. */
const PROFILE = ['inherits="dev"', "opt-level=1", "debug=0", "incremental=true"];

/** Each `[file, what stands there, what shall stand there]` must be found exactly once. */
const BREAKS = {
  intent: {
    what: "a \"create\" leaves without a record of it",
    edits: [["durable/src/account_do/calls.rs", "            self.create_leaves(cx, id)?;", "            let _ = id;"]],
  },
  retry: {
    what: "a \"create\" without an answer is sent again at a vendor that then makes two",
    edits: [["domain/src/vendor/attempt.rs", "Failure::Unclear if is_idempotent && !is_late => Next::Again", "Failure::Unclear if is_idempotent | !is_late => Next::Again"]],
  },
  window: {
    what: "what became of a \"create\" is taken for certain before lists can show it",
    edits: [
      ["domain/src/vendor/attempt.rs", "let is_late_enough = self.is_past_lag(asked_at, lag) || is_past_order;", "let is_late_enough = self.is_past_lag(asked_at, lag) || is_past_order || true;"],
      ["domain/src/lifecycle/down.rs", "let is_late_enough = is_past_lag || is_past_order;", "let is_late_enough = is_past_lag || is_past_order || true;"],
    ],
  },
  sighting: {
    what: "what nobody knows is given back at its first sight",
    edits: [
      ["domain/src/vendor/stray.rs", "pub const GRACE: Span = Span::from_secs(10 * 60);", "pub const GRACE: Span = Span::from_secs(0);"],
      ["domain/src/vendor/stray.rs", "const SIGHTINGS: u32 = 2;", "const SIGHTINGS: u32 = 1;"],
    ],
  },
  orphan: {
    what: "what nobody knows, or a second machine, is never given back",
    edits: [["domain/src/vendor/stray.rs", "self.sightings >= SIGHTINGS && self.first_seen + GRACE <= now)", "self.sightings >= SIGHTINGS && self.first_seen + GRACE <= now) && false"]],
  },
  list: {
    what: "a list that failed is taken for an empty one",
    edits: [["durable/src/account_do/sweep.rs", "            Err(error) => {\n                self.page_failed(&error);\n                Ok(())\n            }", "            Err(_) => match self.take_page(Page::default()) {\n                Some(list) => self.listed(cx, list),\n                None => Ok(()),\n            },"]],
  },
  ghost: {
    what: "one list that lacks a machine is taken for its end",
    edits: [["domain/src/lifecycle/down.rs", "if absences.looks >= 1 && absences.looks + absences.lists >= 2 {", "if absences.looks + absences.lists >= 1 {"]],
  },
  destroy: {
    what: "an order to give back that was taken is taken for the end",
    edits: [["domain/src/lifecycle/up.rs", "Fact::Taken(action) if attempt == self.attempt() => self.taken(action, at),", "Fact::Taken(action) if attempt == self.attempt() => {\n                self.taken(action, at);\n                if action == Action::Destroy {\n                    self.gone(Cause::DeletedOutside, effects);\n                }\n            }"]],
  },
  advance: {
    what: "the ledger is not asked whether what runs may go on",
    edits: [["domain/src/lifecycle/money.rs", "    pub(super) fn is_covered(&self) -> bool {\n", "    pub(super) fn is_covered(&self) -> bool {\n        if self.now >= self.record.since {\n            return false;\n        }\n"]],
  },
  cap: {
    what: "the ledger says yes whatever the budget",
    edits: [["durable/src/ledger_do/advances.rs", "    decide(budgets, needed)\n", "    decide(budgets, needed).or(Ok(()))\n"]],
  },
  disk: {
    what: "a stopped machine is reckoned as free",
    edits: [["domain/src/lifecycle/costs.rs", "let at = sighting.billed_until.unwrap_or(sighting.at);\n                self.set_rate(at, terms.stopped_microusd_per_hour);", "let at = sighting.billed_until.unwrap_or(sighting.at);\n                self.set_rate(at, 0);"]],
  },
  start: {
    what: "a machine that was told to start is reckoned as stopped until it is seen",
    edits: [["domain/src/lifecycle/money.rs", "                self.reckon_anew(effects, |costs| costs.assume_run(now, &terms));\n", "                let _ = (now, terms);\n"]],
  },
  alarm: {
    what: "a rental sets no alarm",
    edits: [["domain/src/lifecycle/timer.rs", "self.timers().into_iter().map(|(_, due)| due).min()", "self.timers().into_iter().map(|(_, due)| due).min().filter(|_| false)"]],
  },
  account: {
    what: "an account is forgotten while its machines are alive",
    edits: [["durable/src/account_do/configure.rs", "if let Some(kept) = self.why_kept() {", "if let Some(kept) = self.why_kept().filter(|_| false) {"]],
  },
};

/** Only what differs is written: a file that an earlier run had broken must look new to cargo, all others old. */
function copySources() {
  const { stdout } = spawnSync("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], { cwd: ROOT, encoding: "utf8", maxBuffer: 1 << 26 });
  // What was removed and not committed yet is listed too.
  const names = new Set(stdout.split("\0").filter((name) => name !== "" && existsSync(join(ROOT, name))));
  mkdirSync(TREE, { recursive: true });
  for (const entry of readdirSync(TREE, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath ?? entry.path, entry.name);
    if (!entry.isDirectory() && !names.has(relative(TREE, path))) rmSync(path);
  }
  for (const name of names) {
    const [from, to] = [readFileSync(join(ROOT, name)), join(TREE, name)];
    if (existsSync(to) && readFileSync(to).equals(from)) continue;
    mkdirSync(dirname(to), { recursive: true });
    writeFileSync(to, from);
  }
}

/** The files of a break as they are, and as it makes them. */
function broken(name) {
  const files = new Map();
  for (const [file, from, to] of BREAKS[name].edits) {
    const before = files.get(file)?.after ?? readFileSync(join(ROOT, file), "utf8");
    const found = before.split(from).length - 1;
    if (found !== 1) throw new Trouble(`the break "${name}" does not apply: what it changes in ${file} is there ${found} times. The code has moved on; make the break follow it in scripts/sim_mutants.mjs`);
    files.set(file, { original: files.get(file)?.original ?? before, after: before.replace(from, () => to) });
  }
  return files;
}

async function build() {
  const profile = PROFILE.flatMap((setting) => ["--config", `profile.broken.${setting}`]);
  const { code } = await runToEnd("cargo", ["build", "--quiet", "--package", "tidegate-sim", "--profile", "broken", ...profile], { cwd: TREE, env: { CARGO_TARGET_DIR: join(OUT, "build"), RUSTFLAGS: "--cap-lints allow" } });
  if (code !== 0) throw new Trouble("it does not compile; the compiler's words stand above");
}

/** How the simulation fails, or null. A situation that so few seeds did not meet is no sign of a break. */
function simulate(runs) {
  const { status, stdout, stderr } = spawnSync(join(OUT, "build", "broken", "tidegate-sim"), ["--world", "renting", "--runs", String(runs)], { encoding: "utf8", maxBuffer: 1 << 28 });
  if (status === 0) return null;
  const told = /^seed (\d+), after (\d+) runs, does not hold: (.*)$/m.exec(stdout);
  if (told) return { seed: told[1], runs: told[2], property: told[3] };
  if (/^never met, /m.test(stdout)) return null;
  return { seed: "-", runs: String(runs), property: `it ended with ${status}: ${stderr.trim().split("\n")[0]}` };
}

await program(async () => {
  const args = process.argv.slice(2);
  const value = (flag) => (args.includes(flag) ? args[args.indexOf(flag) + 1] : undefined);
  const names = value("--only")?.split(",") ?? Object.keys(BREAKS);
  const runs = Number(value("--runs") ?? 3000);
  const unknown = names.filter((name) => !(name in BREAKS));
  if (unknown.length > 0 || !(runs > 0)) throw new Trouble(`usage: sim_mutants.mjs [--only ${Object.keys(BREAKS).join(",")}] [--runs N]`);
  const changes = new Map(names.map((name) => [name, broken(name)]));
  await rust();
  setPriority(10);
  copySources();
  const rows = [];
  for (const [name, files] of [["", new Map()], ...changes]) {
    say(name === "" ? "as it is" : `${name}: ${BREAKS[name].what}`);
    for (const [file, { after }] of files) writeFileSync(join(TREE, file), after);
    await build();
    // Unbroken it holds, or nothing below would mean anything.
    const failure = simulate(name === "" ? Math.min(runs, 500) : runs);
    if (name === "" && failure !== null) throw new Trouble(`without a break seed ${failure.seed} fails: ${failure.property}`);
    for (const [file, { original }] of files) writeFileSync(join(TREE, file), original);
    if (name === "") continue;
    say(failure === null ? "NOT NOTICED" : `seed ${failure.seed}, after ${failure.runs} runs: ${failure.property}`);
    rows.push({ name, failure });
  }
  console.log("\n| break | seed | after runs | what did not hold |\n|---|---|---|---|");
  for (const { name, failure } of rows) console.log(`| ${name}: ${BREAKS[name].what} | ${failure?.seed ?? ""} | ${failure?.runs ?? ""} | ${failure?.property ?? "**not noticed**"} |`);
  const missed = rows.filter(({ failure }) => failure === null).map(({ name }) => name);
  if (missed.length > 0) throw new Trouble(`the simulation did not notice ${missed.join(", ")} in ${runs} runs`);
});
