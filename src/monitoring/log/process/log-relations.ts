import type { FileOnDisk, RowFilter } from '../log-messages.ts';
import { literal, literals } from './quote-sql.ts';

/** Where rows of the log lie: files, and tables of those that no file holds yet. */
export interface Relations {
  files: readonly FileOnDisk[];
  batches: readonly HotTables[];
}

interface HotTables {
  predictions: string;
  labels: string;
  predictionRows: number;
  labelRows: number;
  models: ReadonlySet<string>;
}

const PREDICTIONS =
  'segment, line, u, id, t, taken, model, version, variant, ms, features, prediction, probabilities, split_key, cloud_event';
const LABELS = 'segment, line, u, id, t, taken, model, label';

/** The predictions that a filter lets through, as something to select from. */
export function predictionsOf(log: Relations, filter: Partial<RowFilter> = {}): string {
  const { model, from, to } = filter;
  const files = log.files.filter(
    (file) =>
      file.kind === 'predictions' &&
      (model === undefined || file.model === model) &&
      (from === undefined || file.toMs >= from) &&
      (to === undefined || file.fromMs < to),
  );
  const batches = log.batches.filter(
    (batch) => batch.predictionRows > 0 && (model === undefined || batch.models.has(model)),
  );
  return union(
    PREDICTIONS,
    files,
    batches.map((batch) => batch.predictions),
    conditions(filter),
  );
}

/** The labels of a model, every one that was ever given. */
export function labelsOf(log: Relations, model?: string): string {
  const files = log.files.filter(
    (file) => file.kind === 'feedback' && (model === undefined || file.model === model),
  );
  const batches = log.batches.filter(
    (batch) => batch.labelRows > 0 && (model === undefined || batch.models.has(model)),
  );
  return union(
    LABELS,
    files,
    batches.map((batch) => batch.labels),
    conditions({ model }),
  );
}

/** For each prediction the label that counts: the latest by event time, then by when and in which place it was taken. */
export const latestLabels = (labels: string): string =>
  `(SELECT u, model, max_by(struct_pack(label, t), struct_pack(t, taken, segment, line)) AS latest FROM ${labels} GROUP BY u, model)`;

function conditions(filter: Partial<RowFilter>): string {
  const { model, from, to, versions, variants } = filter;
  const all = [
    model !== undefined && `model = ${literal(model)}`,
    from !== undefined && `t >= ${Math.ceil(from)}`,
    to !== undefined && `t < ${Math.ceil(to)}`,
    versions && `list_contains(${literals(versions)}, version)`,
    variants && `list_contains(${literals(variants)}, variant)`,
  ].filter((condition) => typeof condition === 'string');
  return all.length === 0 ? '' : ` WHERE ${all.join(' AND ')}`;
}

function union(columns: string, files: FileOnDisk[], tables: string[], where: string): string {
  const sources = [
    ...(files.length > 0 ? [`read_parquet(${literals(files.map(({ path }) => path))})`] : []),
    ...tables,
  ];
  if (sources.length === 0) {
    const nothing = columns
      .split(', ')
      .map((column) => `NULL::${TYPES[column] ?? 'VARCHAR'} AS ${column}`)
      .join(', ');
    return `(SELECT ${nothing} WHERE false)`;
  }
  return `(${sources.map((source) => `SELECT ${columns} FROM ${source}${where}`).join(' UNION ALL ')})`;
}

const TYPES: Record<string, string> = {
  segment: 'BIGINT',
  line: 'INTEGER',
  u: 'UUID',
  t: 'BIGINT',
  taken: 'BIGINT',
  ms: 'DOUBLE',
  probabilities: 'DOUBLE[]',
};
