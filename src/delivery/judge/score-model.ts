import { setImmediate } from 'node:timers/promises';
import type { ClassValue, ModelSession } from '../../models/index.ts';
import { ApiError } from '../../platform/index.ts';

/** Rows a run: enough to be fast, few enough that one run does not hold the thread for long. */
const BATCH_ROWS = 512;

/** A row's raw columns by name, and its true answer. */
export interface LabelledRows {
  rows: Record<string, unknown>[];
  targets: unknown[];
}

export interface ScoredModel {
  /** Every metric of the task, by name; null where it cannot be computed. */
  metrics: Record<string, number | null>;
  /** The whole report of the statistics slice. */
  report: object;
  /** `[rows, classes]` probabilities, or a value of each row. */
  answers: Float32Array;
  /** The classes of `answers`, the model's own first; undefined for values. */
  classes?: readonly ClassValue[];
  /** Class index of each row, or its true value. */
  labels: Int32Array | Float64Array;
  rows: number;
}

/**
 * Scores a model on labelled rows in the runtime that serves it. `classes` are all classes that the rows may have, in
 * the order of the answer; a class that the model does not know has probability 0. Left out: the model's own.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when the model cannot take the rows: a missing column, an unknown class.
 */
export async function scoreModel(
  session: ModelSession,
  { rows, targets }: LabelledRows,
  classes?: readonly ClassValue[],
): Promise<ScoredModel> {
  const { classificationReport, regressionReport } = await import('../../statistics/index.ts');
  const { output } = session.signature;
  if (rows.length === 0)
    throw new ApiError('INVALID_PARAMETER_VALUE', 'There are no rows with a target to score on');
  const own = await runRows(session, rows);
  if (output.task === 'regression') {
    const labels = Float64Array.from(targets, (target) => toNumber(target, output.target));
    const report = regressionReport(labels, own);
    return { metrics: report.metrics, report, answers: own, labels, rows: rows.length };
  }
  const all = classes ?? output.classes;
  const answers = all === output.classes ? own : spread(own, output.classes, all);
  const labels = indexLabels(targets, all, output.target);
  const report = classificationReport(labels, answers, all);
  return { metrics: report.metrics, report, answers, labels, classes: all, rows: rows.length };
}

/** The model's probabilities, row by row, or its values. */
async function runRows(session: ModelSession, rows: Record<string, unknown>[]): Promise<Float32Array> {
  const { createRowCoder } = await import('../../models/index.ts');
  const { output } = session.signature;
  const coder = createRowCoder(session.signature);
  const width = output.task === 'regression' ? 1 : output.classes.length;
  const answers = new Float32Array(rows.length * width);
  for (let start = 0; start < rows.length; start += BATCH_ROWS) {
    const batch = await session.run(coder.encode(rows.slice(start, start + BATCH_ROWS)));
    const values = batch.probabilities ?? batch.values;
    if (!values)
      throw new ApiError('INVALID_PARAMETER_VALUE', 'The model answers neither probabilities nor values');
    answers.set(values, start * width);
    await setImmediate();
  }
  return answers;
}

/** Probabilities of `from` in the order of `to`. */
function spread(own: Float32Array, from: readonly ClassValue[], to: readonly ClassValue[]): Float32Array {
  const place = from.map((each) => to.findIndex((other) => String(other) === String(each)));
  const rows = own.length / from.length;
  const answers = new Float32Array(rows * to.length);
  for (let row = 0; row < rows; row++) {
    for (let k = 0; k < from.length; k++) {
      const at = place[k] as number;
      if (at >= 0) answers[row * to.length + at] = own[row * from.length + k] as number;
    }
  }
  return answers;
}

function indexLabels(targets: unknown[], classes: readonly ClassValue[], name: string): Int32Array {
  const indexOf = new Map(classes.map((each, index) => [String(each), index]));
  return Int32Array.from(targets, (target) => {
    const index = indexOf.get(String(target));
    if (index !== undefined) return index;
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `The target '${name}' has the value '${String(target)}', which is none of the model's classes (${classes.slice(0, 10).join(', ')})`,
    );
  });
}

function toNumber(target: unknown, name: string): number {
  const value =
    typeof target === 'number' ? target : typeof target === 'boolean' ? Number(target) : Number.NaN;
  if (Number.isFinite(value)) return value;
  throw new ApiError(
    'INVALID_PARAMETER_VALUE',
    `The target '${name}' has the value '${String(target)}', which is no number`,
  );
}
