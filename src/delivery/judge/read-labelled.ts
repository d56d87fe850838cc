import type { ModelSession } from '../../models/index.ts';
import { ApiError } from '../../platform/index.ts';
import type { LabelledRows } from './score-model.ts';

/** Columns that a held-out file carries beside the model's own. */
const TIME_COLUMN = '__time';
const ENTITY_COLUMN = '__entity';

/** Labelled rows with what says which of them go together. */
export interface EvaluationRows extends LabelledRows {
  /** Milliseconds since the epoch, NaN where unknown; undefined when the file has none. */
  times: Float64Array | undefined;
  entities: unknown[] | undefined;
}

/** Reads a held-out file. Rows without a target say nothing about a model and are left out. */
export async function readLabelled(path: string, session: ModelSession): Promise<EvaluationRows> {
  const { readRows } = await import('../../datasets/index.ts');
  const { columns, output } = session.signature;
  const text = columns.filter(({ type }) => type === 'string').map(({ name }) => name);
  const rows: Record<string, unknown>[] = [];
  const targets: unknown[] = [];
  for await (const batch of readRows(path, { text })) {
    for (const row of batch) {
      if (!Object.hasOwn(row, output.target)) {
        const names = Object.keys(row).slice(0, 20).join(', ');
        throw new ApiError(
          'INVALID_PARAMETER_VALUE',
          `The rows have no column '${output.target}', the target; they have ${names}`,
        );
      }
      const target = row[output.target];
      if (target == null) continue;
      targets.push(target);
      delete row[output.target];
      rows.push(row);
    }
  }
  const first = rows[0];
  const has = (column: string) => first !== undefined && Object.hasOwn(first, column);
  return {
    rows,
    targets,
    times: has(TIME_COLUMN) ? Float64Array.from(rows, (row) => toTime(row[TIME_COLUMN])) : undefined,
    entities:
      has(ENTITY_COLUMN) && rows.some((row) => row[ENTITY_COLUMN] != null)
        ? rows.map((row) => row[ENTITY_COLUMN])
        : undefined,
  };
}

const toTime = (value: unknown) => (typeof value === 'number' ? value : Number.NaN);
