import { randomUUID } from 'node:crypto';
import type { Tx } from '../platform/index.ts';
import type { DatasetInput, TrackingDb } from './tables.ts';

/** Which data a run used. The same dataset (by name and digest) of an experiment is kept once. */
export function createDatasetInputStore(tx: Tx) {
  const db = tx as TrackingDb;

  return {
    async log(run: { runId: string; experimentId: number }, input: DatasetInput): Promise<void> {
      await db
        .insertInto('logged_datasets')
        .values({
          dataset_id: randomUUID(),
          experiment_id: run.experimentId,
          name: input.name,
          digest: input.digest,
          source_type: input.sourceType,
          source: input.source,
          schema: input.schema ?? null,
          profile: input.profile ?? null,
        })
        .onConflict((conflict) => conflict.columns(['experiment_id', 'name', 'digest']).doNothing())
        .execute();
      const { dataset_id } = await db
        .selectFrom('logged_datasets')
        .select('dataset_id')
        .where('experiment_id', '=', run.experimentId)
        .where('name', '=', input.name)
        .where('digest', '=', input.digest)
        .executeTakeFirstOrThrow();
      await db
        .insertInto('run_datasets')
        .values({ run_id: run.runId, dataset_id })
        .onConflict((conflict) => conflict.columns(['run_id', 'dataset_id']).doNothing())
        .execute();
      for (const { key, value } of input.tags) {
        await db
          .insertInto('run_dataset_tags')
          .values({ run_id: run.runId, dataset_id, key, value })
          .onConflict((conflict) => conflict.columns(['run_id', 'dataset_id', 'key']).doUpdateSet({ value }))
          .execute();
      }
    },
  };
}
