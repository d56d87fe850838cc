import { type CodedBatch, createRowCoder, type ModelSession, type Signature } from '../../models/index.ts';
import { type GateMetric, isMoreBetter } from '../delivery-policy.ts';
import type { Check } from './judge-input.ts';
import type { ScoredModel } from './score-model.ts';
import { type Metadata, readProvenance } from './training-provenance.ts';

/** A challenger so many times slower or larger than the champion is stopped; less is only told. */
const STOP_FACTOR = 10;
/** Below this, nobody waits for it or misses it. */
const LATENCY_FLOOR_MS = 1;
const MEMORY_FLOOR_BYTES = 256 * 1024 * 1024;
const TIMED_RUNS = 100;
const WARM_RUNS = 5;
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

/** Whether the file tells all that training it again takes; another maker's file tells it to its run, if at all. */
export function checkReproducibility(metadata: Metadata): Check {
  const { data, split, algorithm, parameters, seed, environment, ...more } = readProvenance(metadata);
  const told = {
    'the digest of its rows': data?.digest,
    split,
    algorithm,
    parameters,
    seed,
    'the version of the code': more.code_version,
    environment,
  };
  const missing = Object.entries(told)
    .filter(([, value]) => value === undefined)
    .map(([name]) => name);
  const name = 'reproducibility';
  if (missing.length === 0)
    return { name, state: 'passed', words: `its file tells ${Object.keys(told).join(', ')}` };
  const words =
    algorithm === undefined && data === undefined
      ? 'its file does not tell how it was trained'
      : `its file does not tell ${missing.join(', ')}`;
  return { name, state: 'unknown', words };
}

/**
 * How far stated probabilities are from what happened, on average over ten bins (ECE), of two classes of the second's, of
 * more of the likeliest's; shown, never decides.
 */
export function checkCalibration(challenger: ScoredModel, champion: ScoredModel): Check | undefined {
  if (challenger.classes === undefined) return undefined;
  return {
    name: 'calibration',
    state: 'passed',
    words: `expected calibration error ${shown(calibrationError(challenger))}, champion ${shown(calibrationError(champion))}`,
  };
}

function calibrationError({ answers, labels, rows, classes }: ScoredModel): number {
  const width = classes?.length ?? 2;
  const stated = new Float64Array(CALIBRATION_BINS);
  const happened = new Float64Array(CALIBRATION_BINS);
  for (let row = 0; row < rows; row++) {
    const told = width === 2 ? 1 : likeliest(answers, row, width);
    const probability = answers[width * row + told] as number;
    const bin = Math.min(CALIBRATION_BINS - 1, Math.max(0, Math.floor(probability * CALIBRATION_BINS)));
    stated[bin] = (stated[bin] as number) + probability;
    happened[bin] = (happened[bin] as number) + (labels[row] === told ? 1 : 0);
  }
  return stated.reduce((sum, each, bin) => sum + Math.abs(each - (happened[bin] as number)), 0) / rows;
}

function likeliest(answers: Float32Array, row: number, width: number): number {
  let best = 0;
  for (let k = 1; k < width; k++)
    if ((answers[row * width + k] as number) > (answers[row * width + best] as number)) best = k;
  return best;
}

function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
}

const shown = (value: number) => String(Number(value.toPrecision(3)));
const mebibytes = (bytes: number) => Math.max(0, Math.round(bytes / 1024 / 1024));
