import type { RawColumn, Table, TableColumn } from '../../datasets/index.ts';
import { type BatchOutput, MISSING_TEXT, type ModelSession } from '../../models/index.ts';
import { ApiError } from '../../platform/index.ts';
import { mostProbableClass } from '../../statistics/index.ts';
import type { Answers } from '../score-answers.ts';
import { encodeTable } from './graph-inputs.ts';

/** How the exported model and the trainer agreed. A model that does not agree is never handed out. */
export interface ExportCheck {
  rows: number;
  /** Rows with another label although the trainer's two best classes were apart by more than rounding. */
  labelMismatches: number;
  /** Largest difference of a probability; 0 for regressions. */
  maxProbabilityDifference: number;
  /** Regressions: largest difference of a value. */
  maxValueDifference?: number;
}

/** Probabilities may differ by this much, because the graph sums in float32 and the trainer in double precision. */
const PROBABILITY_TOLERANCE = 2e-5;
const BATCH_ROWS = 4096;
const TRAINING_ROWS = 4000;

/**
 * Runs the exported model on all held-out rows and some of the training rows, and compares its answers with the
 * trainer's own.
 *
 * @throws ApiError INTERNAL_ERROR naming the first row that differs
 */
export async function compareExport(
  session: ModelSession,
  data: { train: Table; test: Table; testAnswers: Answers; answer(table: Table): Answers },
): Promise<ExportCheck> {
  const sample = everyNth(data.train, Math.ceil(data.train.rows / TRAINING_ROWS));
  const check: ExportCheck = { rows: 0, labelMismatches: 0, maxProbabilityDifference: 0 };
  await compareTable(session, data.test, data.testAnswers, 'held-out', check);
  await compareTable(session, sample, data.answer(sample), 'training', check);
  return check;
}

async function compareTable(
  session: ModelSession,
  table: Table,
  answers: Answers,
  kind: string,
  check: ExportCheck,
): Promise<void> {
  const tolerance = answers.values ? valueTolerance(answers.values) : PROBABILITY_TOLERANCE;
  for (let start = 0; start < table.rows; start += BATCH_ROWS) {
    const end = Math.min(table.rows, start + BATCH_ROWS);
    const output = await session.run(encodeTable(table, session.signature.inputs, start, end));
    if (answers.values) {
      for (let i = start; i < end; i++) {
        const difference = Math.abs(output.values![i - start]! - answers.values[i]!);
        check.maxValueDifference = Math.max(check.maxValueDifference ?? 0, difference);
        if (difference <= tolerance) continue;
        throw disagrees(kind, i, `value ${output.values![i - start]} instead of ${answers.values[i]}`);
      }
    } else {
      compareProbabilities(table, answers.probabilities, output, start, kind, check);
    }
    compareDerived(table, output, start, kind);
    check.rows += end - start;
  }
}

/** What the graph computes is what the trainer learned from, to the last digit. */
function compareDerived(table: Table, { features }: BatchOutput, start: number, kind: string): void {
  for (const column of table.columns) {
    if (!column.derived) continue;
    const values = features![column.name]!;
    for (let i = 0; i < values.length; i++) {
      const actual = values[i]!;
      if (column.type === 'numeric') {
        const expected = column.values[start + i]!;
        if (actual === expected || (Number.isNaN(actual) && Number.isNaN(expected))) continue;
        throw disagrees(kind, start + i, `feature '${column.name}' ${actual} instead of ${expected}`);
      }
      const code = column.codes[start + i]!;
      const expected = code < 0 ? MISSING_TEXT : column.categories[code];
      if (expected === undefined ? !column.categories.includes(actual as string) : actual === expected)
        continue;
      throw disagrees(kind, start + i, `feature '${column.name}' '${actual}' instead of '${expected}'`);
    }
  }
}

function compareProbabilities(
  table: Table,
  expected: Float64Array,
  output: BatchOutput,
  start: number,
  kind: string,
  check: ExportCheck,
): void {
  const classes = table.classes!;
  const classCount = classes.length;
  const labels = mostProbableClass(
    expected.subarray(start * classCount, start * classCount + output.probabilities!.length),
    classCount,
  );
  labels.forEach((label, i) => {
    let best = 0;
    let second = 0;
    for (let k = 0; k < classCount; k++) {
      const probability = expected[(start + i) * classCount + k]!;
      const actual = output.probabilities![i * classCount + k]!;
      const difference = Math.abs(actual - probability);
      check.maxProbabilityDifference = Math.max(check.maxProbabilityDifference, difference);
      if (!(difference <= PROBABILITY_TOLERANCE)) {
        throw disagrees(kind, start + i, `probability ${actual} of ${classes[k]} instead of ${probability}`);
      }
      if (probability > best) [best, second] = [probability, best];
      else second = Math.max(second, probability);
    }
    if (output.labels![i] === classes[label] || best - second <= 2 * PROBABILITY_TOLERANCE) return;
    throw disagrees(kind, start + i, `label ${output.labels![i]} instead of ${classes[label]}`);
  });
}

/** float32 holds seven digits, and a wrong turn in a tree moves a value by a visible part of the values' spread. */
function valueTolerance(values: Float64Array): number {
  let largest = 0;
  let sum = 0;
  let squares = 0;
  for (const value of values) {
    largest = Math.max(largest, Math.abs(value));
    sum += value;
    squares += value * value;
  }
  const mean = sum / values.length;
  return 2e-6 * largest + 1e-5 * Math.sqrt(Math.max(0, squares / values.length - mean * mean));
}

function disagrees(kind: string, row: number, what: string): ApiError {
  return new ApiError(
    'INTERNAL_ERROR',
    `The exported model answers otherwise than the trainer: ${what}, at ${kind} row ${row}. The model was not kept; please report this with the table's schema and the parameters`,
  );
}

/** Every n-th row of a table. */
export function everyNth(table: Table, step: number): Table {
  if (step <= 1) return table;
  const rows = Math.ceil(table.rows / step);
  const thin = <T extends Float32Array | Float64Array | Int32Array>(values: T): T =>
    values.filter((_: number, i: number) => i % step === 0) as T;
  const thinColumn = <T extends TableColumn | RawColumn>(column: T): T =>
    'codes' in column
      ? { ...column, codes: thin(column.codes) }
      : { ...column, values: thin(column.values as Float32Array) };
  return {
    ...table,
    rows,
    columns: table.columns.map(thinColumn),
    ...(table.raw ? { raw: table.raw.map(thinColumn) } : {}),
    ...(table.times ? { times: thin(table.times) } : {}),
    target: thin(table.target),
  };
}
