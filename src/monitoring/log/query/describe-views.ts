import type { ColumnType } from '../../../models/index.ts';
import type { Answer, ModelView } from '../log-messages.ts';
import { nameFeatures, nameViews } from './name-views.ts';

/** A view that users' SQL may name. */
export interface ViewDescription {
  name: string;
  about: string;
  columns: ViewColumn[];
}

export interface ViewColumn {
  name: string;
  /** As DuckDB calls it. */
  type: string;
  about?: string;
}

const SQL_TYPES: Record<ColumnType, string> = {
  string: 'VARCHAR',
  double: 'DOUBLE',
  long: 'BIGINT',
  boolean: 'BOOLEAN',
  datetime: 'TIMESTAMP',
};

const ID: ViewColumn = { name: 'prediction_id', type: 'VARCHAR' };
const TIMES: ViewColumn[] = [
  { name: 'timestamp', type: 'TIMESTAMP', about: "event time: the request's own, else when it was answered" },
  { name: 'answered_at', type: 'TIMESTAMP' },
];
const ANSWERED_BY: ViewColumn[] = [
  { name: 'version', type: 'VARCHAR' },
  { name: 'variant', type: 'VARCHAR', about: 'champion, canary, previous, or shadow, which answered nobody' },
  { name: 'latency_ms', type: 'DOUBLE' },
];
const PROBABILITIES: ViewColumn = {
  name: 'probabilities',
  type: 'DOUBLE[]',
  about: "in the order of the model's classes",
};
const KEY: ViewColumn = { name: 'key', type: 'VARCHAR', about: 'what a rollout is split by' };
const LABELLED: ViewColumn = {
  name: 'label_timestamp',
  type: 'TIMESTAMP',
  about: 'when the label was known',
};

const PREDICTIONS: ViewDescription = {
  name: 'predictions',
  about: 'every prediction of every model, with the label that counts',
  columns: [
    ID,
    ...TIMES,
    { name: 'model', type: 'VARCHAR' },
    ...ANSWERED_BY,
    { name: 'features', type: 'JSON', about: "the row as it was sent: features->>'name'" },
    { name: 'prediction', type: 'VARCHAR' },
    PROBABILITIES,
    KEY,
    { name: 'cloud_event', type: 'JSON', about: 'the headers, where it came as a CloudEvent' },
    { name: 'label', type: 'VARCHAR', about: 'what came true; NULL while it is not known' },
    LABELLED,
  ],
};

const LABELS: ViewDescription = {
  name: 'labels',
  about: 'every label that was ever given, also those that a later one replaced',
  columns: [
    ID,
    { name: 'model', type: 'VARCHAR' },
    { name: 'label', type: 'VARCHAR' },
    { name: 'timestamp', type: 'TIMESTAMP', about: 'when it was known' },
    { name: 'taken_at', type: 'TIMESTAMP' },
    { name: 'is_latest', type: 'BOOLEAN', about: 'whether it is the one that counts' },
  ],
};

/** What users' SQL may name, as the process of a query makes it. */
export function describeViews(models: readonly ModelView[]): ViewDescription[] {
  const names = nameViews(models.map(({ model }) => model));
  return [PREDICTIONS, LABELS, ...models.map((view, index) => describeModel(names[index]!, view))];
}

function describeModel(name: string, { model, columns, answer }: ModelView): ViewDescription {
  const names = nameFeatures(columns.map((column) => column.name));
  const type = answerType(answer);
  return {
    name,
    about: `the predictions of ${model}, its columns typed`,
    columns: [
      ID,
      ...TIMES,
      ...ANSWERED_BY,
      ...columns.map((column, index) => ({ name: names[index]!, type: SQL_TYPES[column.type] })),
      { name: 'prediction', type, ...(type === 'INTEGER' && { about: '1 for true, 0 for false' }) },
      PROBABILITIES,
      KEY,
      { name: 'label', type, about: 'what came true; NULL while it is not known' },
      LABELLED,
    ],
  };
}

function answerType(answer: Answer | undefined): string {
  if (answer === undefined) return 'VARCHAR';
  if (answer.task === 'regression') return 'DOUBLE';
  if (answer.classes.every((each) => typeof each === 'boolean')) return 'INTEGER';
  return answer.classes.every((each) => typeof each === 'number') ? 'DOUBLE' : 'VARCHAR';
}
