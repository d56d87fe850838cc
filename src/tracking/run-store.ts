import { ApiError, type Tx } from '../platform/index.ts';
import type { KeyValue, LifecycleStage, RunInfo, RunStatus, TrackingDb, TrackingTables } from './tables.ts';

/** The tag that is the run's name: setting either sets both. */
export const RUN_NAME_TAG = 'mlflow.runName';

export interface NewRun {
  runId: string;
  experimentId: number;
  runName: string;
  userId: string;
  startTime: number;
  artifactUri: string;
  tags: KeyValue[];
}

/** Runs, their parameters and their tags. */
export function createRunStore(tx: Tx) {
  const db = tx as TrackingDb;

  async function find(runId: string): Promise<RunInfo | undefined> {
    const row = await db.selectFrom('runs').selectAll().where('run_id', '=', runId).executeTakeFirst();
    return row && toRunInfo(row);
  }

  async function get(runId: string): Promise<RunInfo> {
    const found = await find(runId);
    if (!found) throw new ApiError('RESOURCE_DOES_NOT_EXIST', `Run with id=${runId} not found`);
    return found;
  }

  async function getActive(runId: string): Promise<RunInfo> {
    const found = await get(runId);
    if (found.lifecycleStage !== 'active') {
      throw new ApiError(
        'INVALID_PARAMETER_VALUE',
        `The run ${runId} must be in the 'active' state. Current state is ${found.lifecycleStage}.`,
      );
    }
    return found;
  }

  async function writeTag(runId: string, { key, value }: KeyValue): Promise<void> {
    await db
      .insertInto('tags')
      .values({ run_id: runId, key, value })
      .onConflict((conflict) => conflict.columns(['run_id', 'key']).doUpdateSet({ value }))
      .execute();
  }

  return {
    find,
    get,
    /** The run, when it may be written to: a deleted run is readable only. */
    getActive,

    async count(): Promise<number> {
      const row = await db
        .selectFrom('runs')
        .select((eb) => eb.fn.countAll<number>().as('count'))
        .where('lifecycle_stage', '=', 'active')
        .executeTakeFirstOrThrow();
      return Number(row.count);
    },

    async create(run: NewRun): Promise<void> {
      await db
        .insertInto('runs')
        .values({
          run_id: run.runId,
          experiment_id: run.experimentId,
          run_name: run.runName,
          user_id: run.userId,
          status: 'RUNNING',
          start_time: run.startTime,
          end_time: null,
          artifact_uri: run.artifactUri,
          lifecycle_stage: 'active',
          deleted_time: null,
        })
        .execute();
      const tags = run.tags.filter((tag) => tag.key !== RUN_NAME_TAG);
      for (const tag of [...tags, { key: RUN_NAME_TAG, value: run.runName }]) await writeTag(run.runId, tag);
    },

    async update(
      runId: string,
      change: { status?: RunStatus; endTime?: number; runName?: string },
    ): Promise<RunInfo> {
      await getActive(runId);
      const set: Partial<TrackingTables['runs']> = {};
      if (change.status !== undefined) set.status = change.status;
      if (change.endTime !== undefined) set.end_time = change.endTime;
      if (change.runName) set.run_name = change.runName;
      if (Object.keys(set).length > 0) {
        await db.updateTable('runs').set(set).where('run_id', '=', runId).execute();
      }
      if (change.runName) await writeTag(runId, { key: RUN_NAME_TAG, value: change.runName });
      return get(runId);
    },

    async setLifecycleStage(runId: string, stage: LifecycleStage, now: number): Promise<void> {
      await get(runId);
      await db
        .updateTable('runs')
        .set({ lifecycle_stage: stage, deleted_time: stage === 'deleted' ? now : null })
        .where('run_id', '=', runId)
        .execute();
    },

    /** Deleting or restoring an experiment takes its runs along. */
    async setLifecycleStageOfExperiment(
      experimentId: number,
      stage: LifecycleStage,
      now: number,
    ): Promise<void> {
      await db
        .updateTable('runs')
        .set({ lifecycle_stage: stage, deleted_time: stage === 'deleted' ? now : null })
        .where('experiment_id', '=', experimentId)
        .execute();
    },

    /** The same value again is fine; another value is refused, because a parameter is a fact about the run. */
    async logParam(runId: string, { key, value }: KeyValue): Promise<void> {
      const inserted = await db
        .insertInto('params')
        .values({ run_id: runId, key, value })
        .onConflict((conflict) => conflict.columns(['run_id', 'key']).doNothing())
        .returning('key')
        .executeTakeFirst();
      if (inserted) return;
      const { value: logged } = await db
        .selectFrom('params')
        .select('value')
        .where('run_id', '=', runId)
        .where('key', '=', key)
        .executeTakeFirstOrThrow();
      if (logged === value) return;
      throw new ApiError(
        'INVALID_PARAMETER_VALUE',
        `Changing param values is not allowed. Param with key='${key}' was already logged with value='${logged}' for run ID='${runId}'. Attempted logging new value '${value}'.`,
      );
    },

    async setTag(runId: string, tag: KeyValue): Promise<void> {
      await writeTag(runId, tag);
      if (tag.key === RUN_NAME_TAG) {
        await db.updateTable('runs').set({ run_name: tag.value }).where('run_id', '=', runId).execute();
      }
    },

    async deleteTag(runId: string, key: string): Promise<void> {
      const deleted = await db
        .deleteFrom('tags')
        .where('run_id', '=', runId)
        .where('key', '=', key)
        .returning('key')
        .executeTakeFirst();
      if (!deleted) {
        throw new ApiError('RESOURCE_DOES_NOT_EXIST', `No tag with name: ${key} in run with id ${runId}`);
      }
    },
  };
}

export function toRunInfo(row: TrackingTables['runs']): RunInfo {
  return {
    runId: row.run_id,
    experimentId: row.experiment_id,
    runName: row.run_name,
    userId: row.user_id,
    status: row.status as RunStatus,
    startTime: row.start_time,
    endTime: row.end_time ?? undefined,
    artifactUri: row.artifact_uri,
    lifecycleStage: row.lifecycle_stage as LifecycleStage,
  };
}
