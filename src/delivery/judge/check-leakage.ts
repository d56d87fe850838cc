import { COPY_OF_NUMBERS } from '../../datasets/index.ts';
import type { Signature } from '../../models/index.ts';
import { rocAuc } from '../../statistics/index.ts';
import type { Check } from './judge-input.ts';
import type { ScoredModel } from './score-model.ts';

const SMALLEST_ROWS = 50;
/** A single column that tells two classes apart, or the right class, or the value, this well is suspicious. */
const SUSPICIOUS_AUC = 0.99;
const SUSPICIOUS_SHARE = 0.99;
const SUSPICIOUS_R2 = 0.99;
/** Equal but for the rounding of floating point. */
const EXACT_R2 = 1 - 1e-9;
/** A column of texts says something of a row by itself where a value has so many rows on average. */
const ROWS_PER_VALUE = 5;

type Found = 'same' | 'near' | undefined;

/**
 * A column that tells the answer all by itself will not be known when the answer is asked for. One that is the target under
 * another name, on another scale or rounded, blocks; one that alone nearly predicts it is a warning.
 */
export function checkLeakage(
  signature: Signature,
  rows: readonly Record<string, unknown>[],
  scored: ScoredModel,
  championColumns: ReadonlySet<string>,
): Check {
  if (rows.length < SMALLEST_ROWS)
    return { name: 'leakage', state: 'unknown', words: `looked for with ${SMALLEST_ROWS} rows or more only` };
  const { labels, classes } = scored;
  const found = new Map<string, Found>();
  for (const { name } of signature.columns) {
    const values = rows.map((row) => row[name]);
    found.set(
      name,
      classes ? compareWithClasses(values, labels, classes.length) : compareWithValues(values, labels),
    );
  }
  const named = (kind: Found) => [...found].filter(([, each]) => each === kind).map(([name]) => name);
  const same = named('same');
  const near = named('near');
  // A leak that serves already is no reason to keep serving the older version of it.
  const fresh = same.filter((name) => !championColumns.has(name));
  const told = [
    same.length > 0 ? `the target under another name: ${same.join(', ')}` : '',
    near.length > 0 ? `nearly predicts the target alone: ${near.join(', ')}` : '',
  ].filter((part) => part !== '');
  const state = fresh.length > 0 ? 'blocked' : told.length > 0 ? 'warning' : 'passed';
  return { name: 'leakage', state, words: told.join('; ') || 'no column tells the answer alone' };
}

/** @param labels index of each row's class */
export function compareWithClasses(
  values: readonly unknown[],
  labels: ArrayLike<number>,
  classes: number,
): Found {
  if (isRenamed(values, labels)) return 'same';
  if (classes === 2 && separates(values, labels)) return 'near';
  return rightByValue(values, labels) >= SUSPICIOUS_SHARE ? 'near' : undefined;
}

/** @param labels true value of each row */
export function compareWithValues(values: readonly unknown[], labels: ArrayLike<number>): Found {
  const rows = values.flatMap((value, row) => (isNumber(value) ? [row] : []));
  if (rows.length < SMALLEST_ROWS) {
    const predicted = meansOfOthers(values, labels);
    return predicted && determination(predicted, labels) >= SUSPICIOUS_R2 ? 'near' : undefined;
  }
  const xs = rows.map((row) => Number(values[row]));
  const ys = rows.map((row) => labels[row] as number);
  const levels = Math.min(new Set(xs).size, new Set(ys).size);
  const r2 = squaredCorrelation(xs, ys);
  const { leastFilled, leastLevels } = COPY_OF_NUMBERS;
  const isCopy = levels >= leastLevels && rows.length >= leastFilled * values.length;
  if (isCopy && (r2 >= EXACT_R2 || isRounded(xs, ys))) return 'same';
  const ranked = levels < leastLevels ? 0 : squaredCorrelation(ranksOf(xs), ranksOf(ys));
  return Math.max(r2, ranked) >= SUSPICIOUS_R2 ? 'near' : undefined;
}

const isNumber = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value);

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
  const rows = values.flatMap((value, row) => (isNumber(value) ? [row] : []));
  if (rows.length < SMALLEST_ROWS) return false;
  const auc = rocAuc(
    rows.map((row) => labels[row] as number),
    rows.map((row) => Number(values[row])),
  );
  return Math.max(auc, 1 - auc) >= SUSPICIOUS_AUC;
}

/**
 * The share of rows whose class is that of most other rows with the same value, compared with always saying the most
 * frequent class: 0 where that does as well, or where nearly every row has a value of its own.
 */
function rightByValue(values: readonly unknown[], labels: ArrayLike<number>): number {
  const groups = groupRows(values);
  if (groups === undefined) return 0;
  const all = countLabels(values.keys(), labels);
  const frequent = Math.max(...all.values()) / values.length;
  if (frequent >= SUSPICIOUS_SHARE) return 0;
  let right = 0;
  for (const rows of groups) {
    const counts = countLabels(rows, labels);
    for (const row of rows) {
      const label = labels[row] as number;
      const own = (counts.get(label) as number) - 1;
      let most = 0;
      for (const [other, count] of counts) if (other !== label && count > most) most = count;
      if (own > most) right++;
    }
  }
  return right / values.length;
}

function countLabels(rows: Iterable<number>, labels: ArrayLike<number>): Map<number, number> {
  const counts = new Map<number, number>();
  for (const row of rows) {
    const label = labels[row] as number;
    counts.set(label, (counts.get(label) ?? 0) + 1);
  }
  return counts;
}

/** Of each row the mean of the other rows with the same value; undefined where most values are of one row. */
function meansOfOthers(values: readonly unknown[], labels: ArrayLike<number>): Float64Array | undefined {
  const groups = groupRows(values);
  if (groups === undefined) return undefined;
  const total = Array.from(values.keys()).reduce((sum, row) => sum + (labels[row] as number), 0);
  const means = new Float64Array(values.length).fill(total / values.length);
  for (const rows of groups) {
    if (rows.length < 2) continue;
    const sum = rows.reduce((all, row) => all + (labels[row] as number), 0);
    for (const row of rows) means[row] = (sum - (labels[row] as number)) / (rows.length - 1);
  }
  return means;
}

function groupRows(values: readonly unknown[]): number[][] | undefined {
  const groups = new Map<string, number[]>();
  for (const [row, value] of values.entries()) {
    const key = String(value);
    const rows = groups.get(key);
    if (rows) rows.push(row);
    else groups.set(key, [row]);
  }
  return groups.size > 1 && groups.size * ROWS_PER_VALUE <= values.length ? [...groups.values()] : undefined;
}

/** Whether one is the other on another scale, rounded: nowhere farther from the line than half a step of its grid. */
function isRounded(xs: readonly number[], ys: readonly number[]): boolean {
  return isOnGridOf(xs, ys) || isOnGridOf(ys, xs);
}

function isOnGridOf(rounded: readonly number[], exact: readonly number[]): boolean {
  const step = smallestStep(rounded);
  const { slope, intercept } = fitLine(exact, rounded);
  if (slope === 0 || !Number.isFinite(slope)) return false;
  const reach = COPY_OF_NUMBERS.reach * step;
  return exact.every((each, row) => Math.abs((rounded[row] as number) - intercept - slope * each) <= reach);
}

function smallestStep(values: readonly number[]): number {
  const sorted = [...new Set(values)].sort((a, b) => a - b);
  let step = Number.POSITIVE_INFINITY;
  for (let i = 1; i < sorted.length; i++)
    step = Math.min(step, (sorted[i] as number) - (sorted[i - 1] as number));
  return step;
}

function fitLine(xs: readonly number[], ys: readonly number[]): { slope: number; intercept: number } {
  const { meanX, meanY, sumXX, sumXY } = momentsOf(xs, ys);
  const slope = sumXX > 0 ? sumXY / sumXX : 0;
  return { slope, intercept: meanY - slope * meanX };
}

/** The share of the variance that predictions explain as they are: means that leave a row out fall where it rises. */
function determination(predicted: ArrayLike<number>, ys: ArrayLike<number>): number {
  const { sumXX, sumYY, sumXY, meanX, meanY } = momentsOf(predicted, ys);
  const errors = sumXX + sumYY - 2 * sumXY + ys.length * (meanX - meanY) ** 2;
  return sumYY > 0 ? 1 - errors / sumYY : 0;
}

function squaredCorrelation(xs: ArrayLike<number>, ys: ArrayLike<number>): number {
  const { sumXX, sumYY, sumXY } = momentsOf(xs, ys);
  return sumXX > 0 && sumYY > 0 ? sumXY ** 2 / (sumXX * sumYY) : 0;
}

function momentsOf(xs: ArrayLike<number>, ys: ArrayLike<number>) {
  const n = xs.length;
  let meanX = 0;
  let meanY = 0;
  for (let i = 0; i < n; i++) {
    meanX += (xs[i] as number) / n;
    meanY += (ys[i] as number) / n;
  }
  let [sumXX, sumYY, sumXY] = [0, 0, 0];
  for (let i = 0; i < n; i++) {
    const x = (xs[i] as number) - meanX;
    const y = (ys[i] as number) - meanY;
    sumXX += x * x;
    sumYY += y * y;
    sumXY += x * y;
  }
  return { meanX, meanY, sumXX, sumYY, sumXY };
}

/** Mean ranks, so that equal values have equal ones. */
function ranksOf(values: readonly number[]): Float64Array {
  const order = Array.from(values.keys()).sort((a, b) => (values[a] as number) - (values[b] as number));
  const ranks = new Float64Array(values.length);
  for (let from = 0; from < order.length; ) {
    let to = from + 1;
    while (to < order.length && values[order[to] as number] === values[order[from] as number]) to++;
    for (let i = from; i < to; i++) ranks[order[i] as number] = (from + to - 1) / 2;
    from = to;
  }
  return ranks;
}
