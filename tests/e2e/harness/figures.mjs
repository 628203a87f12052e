// Measured figures on their way to the scorecard: one line of JSON each.
import { appendFileSync } from "node:fs";

/** Notes what was measured for a line of the scorecard. */
export function figure(line, value) {
  const file = process.env.TIDEGATE_FIGURES;
  if (file) appendFileSync(file, `${JSON.stringify({ line, value })}\n`);
}

/** The p-th percentile, 0 to 100. */
export function percentile(values, p) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor((p / 100) * sorted.length))];
}

export const ms = (value) => `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
