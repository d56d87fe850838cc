import type { Tx } from '../../platform/index.ts';
import type { Span } from '../alarms/alarm.ts';
import type { DriftDb } from '../tables.ts';
import { ANSWERING } from './profile-entry-store.ts';

/** What is older than this was forgotten with an earlier window. */
const FORGOTTEN_SPAN_MS = 100 * 86_400_000;

export type SegmentEntryStore = ReturnType<typeof createSegmentEntryStore>;

/** What was reported of the rows of single values, beside all rows: never to be summed with them. */
export function createSegmentEntryStore(tx: Tx) {
  const db = tx as DriftDb;
  return {
    /** The segments of what a version answered in a span that have enough rows, the largest first. */
    async largest(
      model: string,
      version: string,
      { from, to }: Span,
      { least, most }: { least: number; most: number },
    ): Promise<string[]> {
      const rows = await db
        .selectFrom('profile_entries')
        .select((eb) => ['segment', eb.fn.sum<number | string>('answered').as('answered')])
        .where('model', '=', model)
        .where('segment', '<>', '')
        .where('hour', '>=', from)
        .where('hour', '<', to)
        .where('version', '=', version)
        .where('variant', 'in', ANSWERING)
        .groupBy('segment')
        .having((eb) => eb.fn.sum('answered'), '>=', least)
        .orderBy('answered', 'desc')
        .orderBy('segment')
        .limit(most)
        .execute();
      return rows.map(({ segment }) => segment);
    },

    /** Segments are looked at when their window closes, and are by far the most of what is reported. */
    async forget(model: string, before: number): Promise<void> {
      await db
        .deleteFrom('profile_entries')
        .where('model', '=', model)
        .where('hour', '<', before)
        .where('hour', '>=', before - FORGOTTEN_SPAN_MS)
        .where('segment', '<>', '')
        .execute();
    },
  };
}
