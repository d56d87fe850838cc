import { type CodedBatch, createRowCoder, type ModelSession, type Signature } from '../../models/index.ts';
import { rocAuc } from '../../statistics/index.ts';
import { type GateMetric, isMoreBetter } from '../delivery-policy.ts';
import type { Check } from './judge-input.ts';
import type { ScoredModel } from './score-model.ts';

/** A challenger so many times slower or larger than the champion is stopped; less is only told. */
const STOP_FACTOR = 10;
/** Below this, nobody waits for it or misses it. */
const LATENCY_FLOOR_MS = 1;
const MEMORY_FLOOR_BYTES = 256 * 1024 * 1024;
const TIMED_RUNS = 100;
const WARM_RUNS = 5;
/** A single column that tells two classes apart this well is suspicious. */
const SUSPICIOUS_AUC = 0.99;
const SMALLEST_LEAK_ROWS = 50;
const CALIBRATION_BINS = 10;

/** What callers of the champion would have to change for the challenger. */
export function checkSchema(challenger: Signature, champion: Signature): Check {
  const before = new Map(champion.columns.map((column) => [column.name, column]));
  const now = new Map(challenger.columns.map((column) => [column.name, column]));
  const added = challenger.columns.filter(({ name }) => !before.has(name)).map(({ name }) => name);
  const dropped = champion.columns.filter(({ name }) => !now.has(name)).map(({ name }) => name);
  const changed: string[] = [];
  const narrowed: string[] = [];
  for (const { name, type, nullable } of challenger.columns) {
    const known = before.get(name);
    if (known === undefined) continue;
    if (kindOf(known.type) !== kindOf(type)) changed.push(`${name} (${known.type} before, ${type} now)`);
    else if (known.nullable && !nullable) narrowed.push(name);
  }
  const told = [
    added.length > 0 ? `it needs columns that callers do not send: ${added.join(', ')}` : '',
    changed.length > 0 ? `columns of another type: ${changed.join(', ')}` : '',
    narrowed.length > 0 ? `missing values are refused now in ${narrowed.join(', ')}` : '',
    dropped.length > 0 ? `columns that it does not look at: ${dropped.join(', ')}` : '',
  ].filter((part) => part !== '');
  const stops = added.length > 0 || changed.length > 0;
  const state = stops ? 'blocked' : narrowed.length > 0 ? 'warning' : 'passed';
  return { name: 'schema', state, words: told.join('; ') || 'the same columns of the same types' };
}

const kindOf = (type: string) =>
  type === 'double' || type === 'long' || type === 'boolean' ? 'number' : type;

/** Single rows through both models in turn, so that a busy machine slows both alike. */
export async function checkLatency(
  challenger: ModelSession,
  champion: ModelSession,
  rows: Record<string, unknown>[],
): Promise<Check> {
  const both = [challenger, champion].map((session) => {
    const coder = createRowCoder(session.signature);
    return {
      session,
      batches: rows.slice(0, TIMED_RUNS).map((row) => coder.encode([row])),
      ms: [] as number[],
    };
  });
  for (let run = -WARM_RUNS; run < TIMED_RUNS; run++) {
    for (const { session, batches, ms } of both) {
      const batch = batches[(run + TIMED_RUNS) % batches.length] as CodedBatch;
      const begun = performance.now();
      await session.run(batch);
      if (run >= 0) ms.push(performance.now() - begun);
    }
  }
  const [ours = 0, theirs = 0] = both.map(({ ms }) => percentile(ms, 0.99));
  const [median = 0, theirMedian = 0] = both.map(({ ms }) => percentile(ms, 0.5));
  // A busy machine makes single runs slow; a slow model makes all of them slow.
  const stops = ours > LATENCY_FLOOR_MS && ours > STOP_FACTOR * theirs && median > STOP_FACTOR * theirMedian;
  return {
    name: 'latency',
    state: stops ? 'blocked' : 'passed',
    words: `p99 of one row ${shown(ours)} ms, champion ${shown(theirs)} ms${stops ? `: more than ${STOP_FACTOR} times` : ''}`,
  };
}

/** What each session took of the process's memory while it was made. */
export function checkMemory(ours: number, theirs: number): Check {
  const stops = ours > MEMORY_FLOOR_BYTES && ours > STOP_FACTOR * Math.max(theirs, 1);
  return {
    name: 'memory',
    state: stops ? 'blocked' : 'passed',
    words: `about ${mebibytes(ours)} MiB, champion about ${mebibytes(theirs)} MiB${stops ? `: more than ${STOP_FACTOR} times` : ''}`,
  };
}

/** The floor that the policy sets, whatever serves; what cannot be measured has not reached it. */
export function checkFloor(metric: GateMetric, value: number | null | undefined, atLeast: number): Check {
  if (value == null || !Number.isFinite(value))
    return unmeasuredFloor(atLeast, `${metric} could not be computed`);
  const better = isMoreBetter(metric);
  const passes = better ? value >= atLeast : value <= atLeast;
  return {
    name: 'atLeast',
    state: passes ? 'passed' : 'blocked',
    words: `${metric} ${shown(value)}, asked for ${better ? 'at least' : 'at most'} ${shown(atLeast)}`,
  };
}

export const unmeasuredFloor = (atLeast: number, why: string): Check => ({
  name: 'atLeast',
  state: 'blocked',
  words: `${shown(atLeast)} is asked for and cannot be measured: ${why}`,
});

/** A column that tells the answer all by itself will not be known when the answer is asked for. */
export function checkLeakage(
  signature: Signature,
  rows: readonly Record<string, unknown>[],
  scored: ScoredModel,
  championColumns: ReadonlySet<string>,
): Check {
  if (scored.classes === undefined || rows.length < SMALLEST_LEAK_ROWS)
    return { name: 'leakage', state: 'unknown', words: 'looked for with classes and 50 rows or more only' };
  const same: string[] = [];
  const near: string[] = [];
  for (const { name } of signature.columns) {
    const values = rows.map((row) => row[name]);
    if (isRenamed(values, scored.labels)) same.push(name);
    else if (scored.classes.length === 2 && separates(values, scored.labels)) near.push(name);
  }
  // A leak that serves already is no reason to keep serving the older version of it.
  const fresh = same.filter((name) => !championColumns.has(name));
  const told = [
    same.length > 0 ? `the target under another name: ${same.join(', ')}` : '',
    near.length > 0 ? `nearly predicts the target alone: ${near.join(', ')}` : '',
  ].filter((part) => part !== '');
  const state = fresh.length > 0 ? 'blocked' : told.length > 0 ? 'warning' : 'passed';
  return { name: 'leakage', state, words: told.join('; ') || 'no column tells the answer alone' };
}

/** Each value goes with one class, and each class with one value. */
function isRenamed(values: readonly unknown[], labels: ArrayLike<number>): boolean {
  const labelByValue = new Map<string, number>();
  const valueByLabel = new Map<number, string>();
  for (let row = 0; row < values.length; row++) {
    const value = String(values[row]);
    const label = labels[row] as number;
    if ((labelByValue.get(value) ?? label) !== label || (valueByLabel.get(label) ?? value) !== value)
      return false;
    labelByValue.set(value, label);
    valueByLabel.set(label, value);
  }
  return valueByLabel.size > 1;
}

function separates(values: readonly unknown[], labels: ArrayLike<number>): boolean {
  const rows = values.flatMap((value, row) =>
    typeof value === 'number' && Number.isFinite(value) ? [row] : [],
  );
  if (rows.length < SMALLEST_LEAK_ROWS) return false;
  const auc = rocAuc(
    rows.map((row) => labels[row] as number),
    rows.map((row) => values[row] as number),
  );
  return Math.max(auc, 1 - auc) >= SUSPICIOUS_AUC;
}

/** How far stated probabilities are from what happened, on average over ten bins (ECE); shown, never decides. */
export function checkCalibration(challenger: ScoredModel, champion: ScoredModel): Check | undefined {
  if (challenger.classes?.length !== 2) return undefined;
  return {
    name: 'calibration',
    state: 'passed',
    words: `expected calibration error ${shown(calibrationError(challenger))}, champion ${shown(calibrationError(champion))}`,
  };
}

function calibrationError({ answers, labels, rows }: ScoredModel): number {
  const stated = new Float64Array(CALIBRATION_BINS);
  const happened = new Float64Array(CALIBRATION_BINS);
  for (let row = 0; row < rows; row++) {
    const probability = answers[2 * row + 1] as number;
    const bin = Math.min(CALIBRATION_BINS - 1, Math.max(0, Math.floor(probability * CALIBRATION_BINS)));
    stated[bin] = (stated[bin] as number) + probability;
    happened[bin] = (happened[bin] as number) + (labels[row] === 1 ? 1 : 0);
  }
  return stated.reduce((sum, each, bin) => sum + Math.abs(each - (happened[bin] as number)), 0) / rows;
}

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}

const shown = (value: number) => String(Number(value.toPrecision(3)));
const mebibytes = (bytes: number) => Math.max(0, Math.round(bytes / 1024 / 1024));
