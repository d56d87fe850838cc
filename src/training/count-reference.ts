import type { Table, TableColumn } from '../datasets/index.ts';
import {
  buildReference,
  CLASS_COLUMN,
  type NamedColumn,
  type Reference,
  SCORE_COLUMN,
  type SegmentColumn,
} from '../profiles/index.ts';
import { mostProbableClass } from '../statistics/index.ts';
import type { Answers } from './score-answers.ts';

/**
 * What the model learned from, as the training rows have it, and what it answers, as the held-out rows have it: on rows
 * that it was trained on its answers would look surer than they are. Dates themselves are left out: they always move on.
 */
export function countReference(train: Table, test: Table, testAnswers: Answers): Reference {
  const columns = train.columns.flatMap((column) =>
    column.type === 'datetime' ? [] : [{ name: column.name, values: valuesOf(column) }],
  );
  return buildReference([
    { columns, rows: train.rows, ...timesOf(train), segmentColumns: segmentColumnsOf(train) },
    {
      columns: answerColumns(test, testAnswers),
      rows: test.rows,
      ...timesOf(test),
      segmentColumns: segmentColumnsOf(test),
    },
  ]);
}

/** Texts and booleans, by which model servers can count rows apart. */
function segmentColumnsOf({ columns }: Table): SegmentColumn[] {
  return columns.flatMap((column): SegmentColumn[] => {
    const { name } = column;
    if (column.type === 'category') return [{ name, codes: column.codes, labels: column.categories }];
    if (column.type !== 'numeric' || column.source !== 'boolean') return [];
    // NaN, a missing value, is of no segment.
    return [{ name, codes: column.values, labels: ['false', 'true'] }];
  });
}

function valuesOf(column: Exclude<TableColumn, { type: 'datetime' }>): NamedColumn['values'] {
  return column.type === 'category'
    ? { codes: column.codes, labels: column.categories, isDictionary: true, stride: 1, offset: 0 }
    : { numbers: column.values, stride: 1, offset: 0 };
}

/** Rows that have no time among rows that have one belong to no day. */
function timesOf({ times }: Table): { times?: Float64Array } {
  return times?.some((time) => !Number.isNaN(time)) ? { times } : {};
}

function answerColumns(table: Table, answers: Answers): NamedColumn[] {
  if (answers.values) return [{ name: SCORE_COLUMN, values: numbers(Float32Array.from(answers.values)) }];
  const classes = table.classes!;
  const width = classes.length;
  const { probabilities } = answers;
  const codes = Int32Array.from(mostProbableClass(probabilities, width));
  const scores = Float32Array.from(
    codes,
    (code, row) => probabilities[row * width + (width === 2 ? 1 : code)]!,
  );
  const labels = classes.map(String);
  return [
    { name: SCORE_COLUMN, values: numbers(scores) },
    { name: CLASS_COLUMN, values: { codes, labels, isDictionary: true, stride: 1, offset: 0 } },
  ];
}

const numbers = (values: Float32Array): NamedColumn['values'] => ({ numbers: values, stride: 1, offset: 0 });
