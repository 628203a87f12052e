// The scorecard: what the run measured, line by line, beside what other gateways did in the same
// situation (their default settings, two cores, November 2026).
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "../../scripts/paths.mjs";

/** `target` says what counts as met; figures are put beside it by `figure(line, …)` in the suites. */
const LINES = {
  2: { what: "one of two servers hangs, client waits 12 s: answered of 8", target: "8 of 8", peers: "Portkey, smg 5; vLLM router, sglang, LiteLLM 4; crabllm 2" },
  3: { what: "all servers fail 15 requests, then heal: time to the first 200", target: "< 1 s", peers: "smg 60.2 s; vLLM router 55.3 s; sglang 55.2 s; LiteLLM 2.7 s" },
  4: { what: "one of two answers 429, Retry-After 30: 200s of 60 · calls to it · added p95", target: "60 · ≤ 2 · < 20 ms", peers: "vLLM router 58 · 66 · 419 ms; Portkey 60 · 31; smg 60 · 25; crabllm 60 · 20; sglang 60 · 10; LiteLLM 60 · 1" },
  5: { what: "client leaves, until the upstream is closed: before the first token · in the stream · plain answer", target: "< 250 ms each, slot free", peers: "workerd Portkey 104 ms, smg 108, sglang 109, crabllm 117, vLLM router 118, LiteLLM 123 (mid-stream only); Node Portkey never" },
  6: { what: "stream cut after 5 chunks: what the client sees", target: "error event, no [DONE]", peers: "Portkey a clean end; vLLM router, sglang a reset; smg, crabllm error then [DONE]; LiteLLM error, no [DONE]" },
  7: { what: "added time to the first token, p50", target: "≤ 1 ms", peers: "Portkey +30.8 ms on workerd, +28.4 ms on Node; TensorZero +40.8 ms" },
  8: { what: "added time of a plain answer, p50", target: "≤ 1 ms", peers: "Portkey +3.9 ms on workerd; LiteLLM +14 to 20 ms" },
  9: { what: "unknown body fields at the upstream", target: "byte-identical", peers: "Portkey drops them" },
  10: { what: "usage of an aborted stream, off by · usage beside non-empty choices", target: "≤ 1 chunk · counted", peers: "LiteLLM 0 counted (#14457) · dropped (#36168)" },
  11: { what: "limit of 20 a minute, 50 at once over two connection pools: let through", target: "20", peers: "LiteLLM: limit × replicas" },
  12: { what: "one of two fails at once, 100 requests, 8 at a time: 200s · share of calls to it", target: "100 · < 25 %", peers: "Olla: least-connections sends most to the broken node (#144)" },
  13: { what: "breaker: 20 × 4xx · 429 · 5 × 500", target: "admits · pauses · ejects at the 5th", peers: "sglang ejects for 429 (55 s out)" },
  14: { what: "why a server is out, since when, until when", target: "can be asked", peers: "LiteLLM has no API for it (#25504)" },
  15: { what: "registry down: requests answered meanwhile", target: "all", peers: "LiteLLM 401 to valid keys, never recovers (#38121)" },
  16: { what: "llama-server, which closes connections it promised to keep: requests answered, nothing worked out twice", target: "all", peers: "–" },
};

function measured(file) {
  const found = {};
  if (!existsSync(file)) return found;
  for (const text of readFileSync(file, "utf8").split("\n").filter(Boolean)) {
    const { line, value } = JSON.parse(text);
    (found[line] ??= []).push(value);
  }
  return found;
}

/** The table of one run as Markdown; with `write` it is kept in docs/. */
export function scorecard(file, { write = false } = {}) {
  const found = measured(file);
  const rows = Object.entries(LINES).map(([line, { what, target, peers }]) => `| ${line} | ${what} | ${target} | ${found[line]?.join(" · ") ?? "not run"} | ${peers} |`);
  const table = ["| | situation | target | Tidegate | others |", "|---|---|---|---|---|", ...rows].join("\n");
  if (write) {
    const about = "Measured by `node tests/e2e/run.mjs --write` against scripted upstreams on loopback, the gateway on bare workerd. Compare\nbehaviours and magnitudes, not single milliseconds: the machine is small and busy. Lines 7 and 8 are measured better,\nand side by side with the platform's floor, by `bench/`.";
    writeFileSync(join(ROOT, "docs", "scorecard.md"), `# Scorecard\n\n${about}\n\n${table}\n`);
  }
  return table;
}
