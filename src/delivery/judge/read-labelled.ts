import type { ModelSession } from '../../models/index.ts';
import type { LabelledRows } from './score-model.ts';

/** Columns that a held-out file carries beside the model's own. */
const TIME_COLUMN = '__time';
const ENTITY_COLUMN = '__entity';

/** Labelled rows with what says which of them go together. */
export interface EvaluationRows extends LabelledRows {
  /** Milliseconds since the epoch; undefined when the file has none. */
  times: Float64Array | undefined;
  entities: unknown[] | undefined;
}

/** Rows without a target say nothing about a model and are left out. */
export async function readLabelled(path: string, session: ModelSession): Promise<EvaluationRows> {
  const { readHeldOut } = await import('../../datasets/index.ts');
  const { columns, output } = session.signature;
  const text = columns.filter(({ type }) => type === 'string').map(({ name }) => name);
  const read = await readHeldOut(path, { targetName: output.target, text });
  const known = read.targets.flatMap((target, row) => (target === null ? [] : [row]));
  const rows = known.map((row) => read.rows[row] as Record<string, unknown>);
  const first = rows[0];
  const has = (column: string) => first !== undefined && Object.hasOwn(first, column);
  return {
    rows,
    targets: known.map((row) => read.targets[row]),
    times: has(TIME_COLUMN) ? Float64Array.from(rows, (row) => toTime(row[TIME_COLUMN])) : undefined,
    entities: has(ENTITY_COLUMN) ? rows.map((row) => row[ENTITY_COLUMN]) : undefined,
  };
}

const toTime = (value: unknown) => (typeof value === 'number' ? value : Number.NaN);
