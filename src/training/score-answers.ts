import type { Table } from '../datasets/index.ts';

/** What a trainer's model says of every row of a table: values, or probabilities `[rows, classes]`, row by row. */
export type Answers =
  | { values: Float64Array; probabilities?: undefined }
  | { values?: undefined; probabilities: Float64Array };

/** Turns scores, one array for each output, into answers, as the end of the exported graph does. */
export function toAnswers(table: Table, scores: Float64Array[]): Answers {
  if (table.task === 'regression') return { values: scores[0]! };
  const classCount = table.classes!.length;
  const probabilities = new Float64Array(table.rows * classCount);
  for (let i = 0; i < table.rows; i++) {
    if (scores.length === 1) {
      const positive = 1 / (1 + Math.exp(-scores[0]![i]!));
      probabilities[2 * i] = 1 - positive;
      probabilities[2 * i + 1] = positive;
      continue;
    }
    let largest = Number.NEGATIVE_INFINITY;
    for (const column of scores) largest = Math.max(largest, column[i]!);
    let sum = 0;
    for (let k = 0; k < classCount; k++) {
      sum += probabilities[i * classCount + k] = Math.exp(scores[k]![i]! - largest);
    }
    for (let k = 0; k < classCount; k++) probabilities[i * classCount + k]! /= sum;
  }
  return { probabilities };
}
