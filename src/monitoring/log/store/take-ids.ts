import type { LogDb } from './log-tables.ts';

/** Takes ids, and with them the log's row until the commit. */
export async function takeIds(
  db: LogDb,
  count: number,
  revision?: 'segments_revision' | 'files_revision',
): Promise<number> {
  const { next_id: next } = await db
    .updateTable('log_state')
    .set((build) => ({
      next_id: build('next_id', '+', count),
      ...(revision && { [revision]: build(revision, '+', 1) }),
    }))
    .where('id', '=', 1)
    .returning('next_id')
    .executeTakeFirstOrThrow();
  return next - count;
}

/** Values in one statement: below what every database takes. */
const AT_ONCE = 500;

/** Values in parts that one statement takes. */
export function* chunks<T>(values: readonly T[]): Generator<T[]> {
  for (let at = 0; at < values.length; at += AT_ONCE) yield values.slice(at, at + AT_ONCE);
}
