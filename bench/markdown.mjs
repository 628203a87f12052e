// Figures as text.

export const number = (value, digits = 0) => (value === undefined || !Number.isFinite(value) ? "–" : value.toFixed(digits));
export const ms = (micros, digits = 2) => number(micros === undefined ? undefined : micros / 1000, digits);
export const kib = (bytes) => number(bytes / 1024);

/** Nothing where either is not known. */
export const minus = (a, b) => (a === undefined || b === undefined ? undefined : a - b);
export const over = (a, b) => (a === undefined || !b ? undefined : a / b);

export function table(head, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, at) => (at === 0 ? "---" : "---:"))), ...rows.map(line)].join("\n");
}
