import type { Tx } from '../../../platform/index.ts';
import type { LogDb } from './log-tables.ts';
import { chunks, takeIds } from './take-ids.ts';

/** What the log no longer needs, and the folders that may come to that. Reads work on any connection, the rest needs a transaction. */
export function createLogGarbage(tx: Tx) {
  const db = tx as LogDb;

  async function put(artifacts: readonly string[], queuedMs: number, pending = 0): Promise<void> {
    for (const part of chunks(artifacts)) {
      await db
        .insertInto('log_garbage')
        .values(part.map((artifact) => ({ artifact, pending, queued_ms: queuedMs })))
        .onConflict((conflict) => conflict.column('artifact').doUpdateSet({ pending, queued_ms: queuedMs }))
        .execute();
    }
  }

  return {
    put,

    /** Announces a folder of artifacts that a change will write, so that they are removed if it never stands. */
    planOutputs: (folder: string, nowMs: number) => put([folder], nowMs, 1),

    /** Gives up what changes announced before a time that never stood: none of them can stand from now on. */
    async giveUp(announcedBeforeMs: number): Promise<void> {
      await db
        .updateTable('log_garbage')
        .set({ pending: 0 })
        .where('pending', '=', 1)
        .where('queued_ms', '<', announcedBeforeMs)
        .execute();
    },

    /** Artifacts to remove: those that were given up, and queued before a time. */
    async list(queuedBeforeMs: number): Promise<string[]> {
      const rows = await db
        .selectFrom('log_garbage')
        .select('artifact')
        .where('pending', '=', 0)
        .where('queued_ms', '<', queuedBeforeMs)
        .orderBy('artifact')
        .execute();
      return rows.map(({ artifact }) => artifact);
    },

    async forget(artifacts: readonly string[]): Promise<void> {
      for (const part of chunks(artifacts)) {
        await db.deleteFrom('log_garbage').where('artifact', 'in', part).execute();
      }
    },

    /** Folders of artifacts whose segments are all filed, with when the newest arrived. */
    async filedGenerations(): Promise<{ generation: string; newestMs: number }[]> {
      const rows = await db
        .selectFrom('log_segments')
        .select(['generation'])
        .select(({ fn }) => [fn.max('received_ms').as('newest'), fn.max('state').as('state')])
        .where('generation', 'is not', null)
        .groupBy('generation')
        .execute();
      // Of the two words 'new' is the greater.
      return rows
        .filter(({ state }) => state === 'filed')
        .map(({ generation, newest }) => ({ generation: generation!, newestMs: Number(newest) }));
    },

    /** Artifacts of filed segments that lie in a folder which was not given up yet. */
    async filedArtifacts(): Promise<string[]> {
      const rows = await db
        .selectFrom('log_segments')
        .select('artifact')
        .where('generation', 'is not', null)
        .where('state', '=', 'filed')
        .execute();
      return rows.map(({ artifact }) => artifact);
    },

    /** Every folder of artifacts that a segment lies in. */
    async generations(): Promise<Set<string>> {
      const rows = await db
        .selectFrom('log_segments')
        .select('generation')
        .distinct()
        .where('generation', 'is not', null)
        .execute();
      return new Set(rows.map(({ generation }) => generation!));
    },

    /** Gives up a folder of artifacts; refuses silently while a segment of it is new. */
    async retireGeneration(generation: string, folder: string, nowMs: number): Promise<void> {
      await takeIds(db, 0);
      const left = await db
        .selectFrom('log_segments')
        .select('id')
        .where('generation', '=', generation)
        .where('state', '=', 'new')
        .limit(1)
        .executeTakeFirst();
      if (left) return;
      await db
        .updateTable('log_segments')
        .set({ generation: null })
        .where('generation', '=', generation)
        .execute();
      await put([folder], nowMs);
    },

    /** Forgets the names of segments that were filed before; the same one again would be taken as new. */
    async dropSegmentNames(beforeMs: number): Promise<void> {
      await db
        .deleteFrom('log_segments')
        .where('state', '=', 'filed')
        .where('generation', 'is', null)
        .where('received_ms', '<', beforeMs)
        .execute();
    },
  };
}
