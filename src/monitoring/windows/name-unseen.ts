import type { Logger } from '../../platform/index.ts';
import type { ProfileColumn } from '../../profiles/index.ts';
import type { Span } from '../alarms/alarm.ts';
import type { QueryLog } from './explain-segments.ts';

/** Profiles count values that the reference does not have without their names; the log has them. */
export async function nameUnseen(
  query: QueryLog,
  asked: { model: string; version: string; window: Span; column: ProfileColumn },
  logger: Logger,
  signal?: AbortSignal,
): Promise<{ value: string; rows: number }[]> {
  try {
    const { rows } = await query(unseenSql(asked), {
      limitRows: MOST_VALUES,
      timeoutMs: 10_000,
      ...(signal && { signal }),
    });
    return rows.map(([value, count]) => ({ value: String(value).slice(0, 100), rows: Number(count) }));
  } catch (error) {
    if (signal?.aborted) return [];
    // The alarm matters more than its explanation.
    logger.warn(
      { err: error, model: asked.model, column: asked.column.name },
      'unseen values cannot be named',
    );
    return [];
  }
}

const MOST_VALUES = 5;

function unseenSql({
  model,
  version,
  window: { from, to },
  column,
}: Parameters<typeof nameUnseen>[1]): string {
  const text = (value: string) => `'${value.replaceAll("'", "''")}'`;
  const path = text(`$."${column.name.replaceAll('"', '\\"')}"`);
  const isUnseen =
    column.kind === 'categorical'
      ? `value NOT IN (${['', ...column.categories].map(text).join(', ')})`
      : `TRY_CAST(value AS DOUBLE) < ${column.min} OR TRY_CAST(value AS DOUBLE) > ${column.max}`;
  return `SELECT value, count(*) AS n
    FROM (SELECT json_extract_string(features, ${path}) AS value FROM predictions
      WHERE model = ${text(model)} AND version = ${text(version)} AND variant <> 'shadow'
        AND epoch_ms(timestamp) >= ${from} AND epoch_ms(timestamp) < ${to})
    WHERE value IS NOT NULL AND (${isUnseen})
    GROUP BY value ORDER BY n DESC, value LIMIT ${MOST_VALUES}`;
}
