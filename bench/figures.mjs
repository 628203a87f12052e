// Samples of many rounds, made into one set of figures for each target, mode and level.

export function median(values) {
  const sorted = values.filter((value) => value !== undefined && !Number.isNaN(value)).sort((a, b) => a - b);
  if (sorted.length === 0) return undefined;
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
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
    first50: of((r) => r.first_token_us.p50),
    first99: of((r) => r.first_token_us.p99),
    gap50: of((r) => r.inter_token_us.p50),
    gap99: of((r) => r.inter_token_us.p99),
    gapMax: Math.max(...answered.map((r) => r.inter_token_us.max)),
    tokens: of((r) => r.tokens / r.seconds),
    cpu: of((r) => r.cpu_us),
    memory: of((r) => r.resident_mib),
    idleMemory: of((r) => r.idle_mib),
    whole: rounds.reduce((sum, r) => sum + r.requests, 0),
    failed: rounds.reduce((sum, r) => sum + r.failed, 0),
  };
}

/** `figures(mode, connections, target)`: undefined where nothing was measured. */
export function collect(samples) {
  const groups = new Map();
  for (const { mode, target, report } of samples) {
    const key = `${mode}/${report.connections}/${target}`;
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(report);
  }
  const summaries = new Map([...groups].map(([key, rounds]) => [key, summary(rounds)]));
  return (mode, connections, target) => summaries.get(`${mode}/${connections}/${target}`);
}

/** What each stream more takes, in KiB, between the lowest and the highest level of open streams. */
export function kibAStream(figures, levels, target) {
  const [low, high] = [Math.min(...levels), Math.max(...levels)];
  const [few, many] = [figures("long", low, target), figures("long", high, target)];
  if (low === high || few?.memory === undefined || many?.memory === undefined) return undefined;
  return ((many.memory - few.memory) * 1024) / (high - low);
}
