import { ApiError, type Tx } from '../platform/index.ts';
import type { Experiment, KeyValue, LifecycleStage, TrackingDb } from './tables.ts';

/** Experiments and their tags. Names are unique, those of deleted experiments included. */
export function createExperimentStore(tx: Tx) {
  const db = tx as TrackingDb;

  async function withTags(rows: ExperimentRow[]): Promise<Experiment[]> {
    if (rows.length === 0) return [];
    const ids = rows.map((row) => row.experiment_id);
    const tags = await db
      .selectFrom('experiment_tags')
      .selectAll()
      .where('experiment_id', 'in', ids)
      .orderBy('key')
      .execute();
    return rows.map((row) =>
      toExperiment(
        row,
        tags.filter((tag) => tag.experiment_id === row.experiment_id),
      ),
    );
  }

  async function find(experimentId: number): Promise<Experiment | undefined> {
    const rows = await db
      .selectFrom('experiments')
      .selectAll()
      .where('experiment_id', '=', experimentId)
      .execute();
    return (await withTags(rows))[0];
  }

  async function get(experimentId: number): Promise<Experiment> {
    const found = await find(experimentId);
    if (!found) throw new ApiError('RESOURCE_DOES_NOT_EXIST', `No Experiment with id=${experimentId} exists`);
    return found;
  }

  return {
    find,
    get,

    async findByName(name: string): Promise<Experiment | undefined> {
      const rows = await db.selectFrom('experiments').selectAll().where('name', '=', name).execute();
      return (await withTags(rows))[0];
    },

    withTags,

    async count(): Promise<number> {
      const row = await db
        .selectFrom('experiments')
        .select((eb) => eb.fn.countAll<number>().as('count'))
        .where('lifecycle_stage', '=', 'active')
        .executeTakeFirstOrThrow();
      return Number(row.count);
    },

    /** The next id comes from a counter row, because the largest id plus one would race on PostgreSQL. */
    async create(input: {
      name: string;
      artifactLocation?: string;
      tags: KeyValue[];
      now: number;
    }): Promise<number> {
      const { last_id } = await db
        .updateTable('experiment_ids')
        .set((eb) => ({ last_id: eb('last_id', '+', 1) }))
        .where('only_row', '=', 1)
        .returning('last_id')
        .executeTakeFirstOrThrow();
      const inserted = await db
        .insertInto('experiments')
        .values({
          experiment_id: last_id,
          name: input.name,
          artifact_location: input.artifactLocation || `mlflow-artifacts:/${last_id}`,
          lifecycle_stage: 'active',
          creation_time: input.now,
          last_update_time: input.now,
        })
        .onConflict((conflict) => conflict.column('name').doNothing())
        .returning('experiment_id')
        .executeTakeFirst();
      if (!inserted) throw await nameTaken(input.name);
      for (const tag of input.tags) await this.setTag(last_id, tag, input.now);
      return last_id;
    },

    async rename(experimentId: number, name: string, now: number): Promise<void> {
      const taken = await db
        .selectFrom('experiments')
        .select('experiment_id')
        .where('name', '=', name)
        .executeTakeFirst();
      if (taken && taken.experiment_id !== experimentId) throw await nameTaken(name);
      await db
        .updateTable('experiments')
        .set({ name, last_update_time: now })
        .where('experiment_id', '=', experimentId)
        .execute();
    },

    async setLifecycleStage(experimentId: number, stage: LifecycleStage, now: number): Promise<void> {
      await db
        .updateTable('experiments')
        .set({ lifecycle_stage: stage, last_update_time: now })
        .where('experiment_id', '=', experimentId)
        .execute();
    },

    async setTag(experimentId: number, { key, value }: KeyValue, now: number): Promise<void> {
      await db
        .insertInto('experiment_tags')
        .values({ experiment_id: experimentId, key, value })
        .onConflict((conflict) => conflict.columns(['experiment_id', 'key']).doUpdateSet({ value }))
        .execute();
      await db
        .updateTable('experiments')
        .set({ last_update_time: now })
        .where('experiment_id', '=', experimentId)
        .execute();
    },

    async deleteTag(experimentId: number, key: string): Promise<boolean> {
      const deleted = await db
        .deleteFrom('experiment_tags')
        .where('experiment_id', '=', experimentId)
        .where('key', '=', key)
        .returning('key')
        .executeTakeFirst();
      return deleted !== undefined;
    },
  };

  async function nameTaken(name: string): Promise<ApiError> {
    const holder = await db
      .selectFrom('experiments')
      .select('lifecycle_stage')
      .where('name', '=', name)
      .executeTakeFirst();
    return new ApiError(
      'RESOURCE_ALREADY_EXISTS',
      holder?.lifecycle_stage === 'deleted'
        ? `Experiment '${name}' already exists in deleted state. You can restore the experiment, or use another name.`
        : `Experiment(name=${name}) already exists.`,
    );
  }
}

export interface ExperimentRow {
  experiment_id: number;
  name: string;
  artifact_location: string;
  lifecycle_stage: string;
  creation_time: number;
  last_update_time: number;
}

function toExperiment(row: ExperimentRow, tags: KeyValue[]): Experiment {
  return {
    experimentId: row.experiment_id,
    name: row.name,
    artifactLocation: row.artifact_location,
    lifecycleStage: row.lifecycle_stage as LifecycleStage,
    creationTime: row.creation_time,
    lastUpdateTime: row.last_update_time,
    tags: tags.map(({ key, value }) => ({ key, value })),
  };
}
