import type { DuckDBConnection } from '@duckdb/node-api';
import {
  accuracy,
  baseRates,
  brier,
  confusionMatrix,
  macroAuc,
  mae,
  perClass,
  rocAuc,
} from '../../../../statistics/index.ts';
import type { MeasuredWindow, MeasureRequest, Window } from '../../log-messages.ts';
import type { LogState } from '../log-state.ts';
import { readScoredRows, type ScoredRows, windowRows } from './scored-rows.ts';
import { sumWindows, type WindowSums } from './sum-windows.ts';

/** What cannot be summed row by row; the other metrics follow from the sums. */
const OF_ROWS = new Set(['roc_auc', 'brier', 'accuracy', 'f1_macro', 'mae']);
/** A metric that needs its rows in memory takes a sample of more. */
const MOST_ROWS = 500_000;

/** Measures predictions by windows of event time, against the labels that are known. */
export async function measureWindows(
  connection: DuckDBConnection,
  state: LogState,
  { filter, metric, windows, answer, mostRows = MOST_ROWS }: MeasureRequest,
): Promise<MeasuredWindow[]> {
  if (windows.length === 0) return [];
  const span = {
    from: Math.min(...windows.map((window) => window.from)),
    to: Math.max(...windows.map((window) => window.to)),
  };
  const { sums, labels } = await sumWindows(connection, state, { filter, windows, answer });
  const read = (window: Window, most?: number) => {
    const { from, to } = window;
    return readScoredRows(connection, state, { ...filter, from, to }, answer, {
      labels,
      ...(most !== undefined && { most }),
    });
  };
  const labelled = sums.reduce((sum, each) => sum + each.labelled, 0);
  const isOfRows = OF_ROWS.has(metric) && labelled > 0;
  // Few rows are read at once; of many one window at a time.
  const all = isOfRows && labelled <= mostRows ? await read(span) : undefined;
  const measured: MeasuredWindow[] = [];
  for (const [index, window] of windows.entries()) {
    const sum = sums[index]!;
    const isSample = isOfRows && sum.labelled > mostRows;
    const rows = all ?? (isOfRows ? await read(window, isSample ? mostRows : undefined) : undefined);
    const value = rows ? measureRows(rows, window, metric) : valueOfSums(sum, metric);
    measured.push({
      ...pick(window),
      rows: sum.rows,
      labelled: sum.labelled,
      value: value && known(value.value),
      valueBaseline: value && known(value.baseline),
      loss: known(sum.loss),
      baseline: known(sum.baseline),
      ...(isSample && rows && { sampled: rows.t.length }),
    });
  }
  return measured;
}

const pick = ({ from, to }: Window): Window => ({ from, to });
const known = (value: number): number | undefined => (Number.isFinite(value) ? value : undefined);

/** A metric, and the same of always answering the window's own base rates, or its mean. */
type Value = { value: number; baseline: number };

function valueOfSums({ task, loss, baseline }: WindowSums, metric: string): Value | undefined {
  if (task !== 'regression') return metric === 'log_loss' ? { value: loss, baseline } : undefined;
  if (metric === 'rmse') return { value: Math.sqrt(loss), baseline: Math.sqrt(baseline) };
  // Where nothing differs there is nothing to explain.
  if (metric === 'r2' && baseline > 0) return { value: 1 - loss / baseline, baseline: 0 };
  return undefined;
}

function measureRows(rows: ScoredRows, window: Window, metric: string): Value | undefined {
  const [start, end] = windowRows(rows, window);
  return rows.classes === 0
    ? valueOfValues(rows, start, end, metric)
    : valueOfClasses(rows, start, end, metric);
}

function valueOfValues(rows: ScoredRows, start: number, end: number, metric: string): Value | undefined {
  if (metric !== 'mae') return undefined;
  const actual: number[] = [];
  const predicted: number[] = [];
  for (let i = start; i < end; i++) {
    if (Number.isNaN(rows.predicted[i])) continue;
    actual.push(rows.label[i]!);
    predicted.push(rows.predicted[i]!);
  }
  if (actual.length === 0) return undefined;
  const mean = actual.reduce((sum, value) => sum + value, 0) / actual.length;
  return {
    value: mae(actual, predicted),
    baseline: mae(actual, new Float64Array(actual.length).fill(mean)),
  };
}

function valueOfClasses(rows: ScoredRows, start: number, end: number, metric: string): Value | undefined {
  const { classes } = rows;
  if (metric === 'accuracy' || metric === 'f1_macro') {
    const isNamed = (i: number) => !Number.isNaN(rows.predicted[i]);
    const actual = pickRows(rows.label, start, end, isNamed);
    if (actual.length === 0) return undefined;
    const measure = metric === 'accuracy' ? accuracyOf : f1Of;
    const usual = commonest(baseRates(actual, classes));
    return {
      value: measure(actual, pickRows(rows.predicted, start, end, isNamed), classes),
      baseline: measure(actual, new Int32Array(actual.length).fill(usual), classes),
    };
  }
  const measure = { roc_auc: aucOf, brier }[metric];
  const isScored = (i: number) => !Number.isNaN(rows.probabilities[i * classes]);
  const labels = pickRows(rows.label, start, end, isScored);
  if (!measure || labels.length === 0) return undefined;
  const probabilities = new Float64Array(labels.length * classes);
  let at = 0;
  for (let i = start; i < end; i++) {
    if (!isScored(i)) continue;
    probabilities.set(rows.probabilities.subarray(i * classes, (i + 1) * classes), at);
    at += classes;
  }
  return {
    value: measure(labels, probabilities, classes),
    baseline: measure(labels, guesses(labels, classes), classes),
  };
}

function pickRows(
  values: Float64Array,
  start: number,
  end: number,
  isWanted: (row: number) => boolean,
): Int32Array {
  const picked = new Int32Array(end - start);
  let count = 0;
  for (let i = start; i < end; i++) if (isWanted(i)) picked[count++] = values[i]!;
  return picked.subarray(0, count);
}

/** The probabilities of a guesser that knows how often each class comes, and nothing else. */
function guesses(labels: Int32Array, classes: number): Float64Array {
  const rates = baseRates(labels, classes);
  return Float64Array.from({ length: labels.length * classes }, (_, i) => rates[i % classes]!);
}

function aucOf(labels: Int32Array, probabilities: Float64Array, classes: number): number {
  if (classes !== 2) return macroAuc(labels, probabilities, classes);
  return rocAuc(
    labels,
    Float64Array.from({ length: labels.length }, (_, i) => probabilities[2 * i + 1]!),
  );
}

const accuracyOf = (labels: Int32Array, predicted: Int32Array, classes: number) =>
  accuracy(confusionMatrix(labels, predicted, classes));

function f1Of(labels: Int32Array, predicted: Int32Array, classes: number): number {
  const scores = perClass(confusionMatrix(labels, predicted, classes)).filter(({ support }) => support > 0);
  return scores.reduce((sum, { f1 }) => sum + f1, 0) / scores.length;
}

const commonest = (rates: Float64Array): number => rates.indexOf(Math.max(...rates));
