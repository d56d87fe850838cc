/** What a client was told and may therefore rely on: written down when the answer came, compared after the kill. */
export interface Acknowledged {
  runs: Map<string, AcknowledgedRun>;
  /** SHA-256 of the content, by path below the artifact proxy. */
  artifacts: Map<string, string>;
  /** In the order of their answers. */
  promotions: AcknowledgedPromotion[];
  /** By version of the dataset `fault`. */
  tables: Map<number, AcknowledgedTable>;
  /** How many predictions each version answered. */
  predictions: Map<string, number>;
}

export interface MetricPoint {
  key: string;
  value: number;
  timestamp: number;
  step: number;
}

export interface AcknowledgedRun {
  points: MetricPoint[];
  /** Sent without an answer: may be there or not. */
  unanswered: MetricPoint[];
  params: Map<string, string>;
  isFinished: boolean;
}

export interface AcknowledgedPromotion {
  /** Distinguishes it from all others. */
  reason: string;
  to: string;
}

export interface AcknowledgedTable {
  rows: number;
  digest: string;
}

export const nothingAcknowledged = (): Acknowledged => ({
  runs: new Map(),
  artifacts: new Map(),
  promotions: [],
  tables: new Map(),
  predictions: new Map(),
});

/** Adds what a round acknowledged to what the rounds before it did. */
export function addAcknowledged(all: Acknowledged, round: Acknowledged): void {
  for (const [id, run] of round.runs) all.runs.set(id, run);
  for (const [path, sha256] of round.artifacts) all.artifacts.set(path, sha256);
  for (const [version, table] of round.tables) all.tables.set(version, table);
  for (const [version, count] of round.predictions) {
    all.predictions.set(version, (all.predictions.get(version) ?? 0) + count);
  }
  all.promotions.push(...round.promotions);
}

export interface AcknowledgedCounts {
  runs: number;
  metrics: number;
  artifacts: number;
  promotions: number;
  tables: number;
  predictions: number;
}

export function countAcknowledged(all: Acknowledged): AcknowledgedCounts {
  const sum = (numbers: Iterable<number>) => [...numbers].reduce((total, number) => total + number, 0);
  return {
    runs: all.runs.size,
    metrics: sum([...all.runs.values()].map(({ points }) => points.length)),
    artifacts: all.artifacts.size,
    promotions: all.promotions.length,
    tables: all.tables.size,
    predictions: sum(all.predictions.values()),
  };
}
