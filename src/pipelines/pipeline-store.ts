import type { Tx } from '../platform/index.ts';
import type { Decision, PipelineDb, PipelineModel, PipelineTables, TriggerKind } from './tables.ts';

export type NewDecision = Omit<Decision, 'sequence'>;

/** Models of projects, and what was decided about retraining them. Reads work on any connection, writes need a transaction. */
export function createPipelineStore(tx: Tx) {
  const db = tx as PipelineDb;

  async function find(name: string): Promise<PipelineModel | undefined> {
    const row = await db
      .selectFrom('pipeline_models')
      .selectAll()
      .where('name', '=', name)
      .executeTakeFirst();
    return row && toModel(row);
  }

  return {
    find,

    /** The models of the project that was applied last, by name. */
    async listActive(): Promise<PipelineModel[]> {
      const rows = await db
        .selectFrom('pipeline_models')
        .selectAll()
        .where('active', '=', 1)
        .orderBy('name')
        .execute();
      return rows.map(toModel);
    },

    async put(model: { name: string; config: string; folder: string; now: number }): Promise<void> {
      const { name, config, folder, now } = model;
      const set = { config, folder, active: 1, applied_at: now };
      await db
        .insertInto('pipeline_models')
        .values({
          ...set,
          name,
          schedule_after: now,
          source_path: null,
          source_stamp: null,
          source_sha256: null,
        })
        .onConflict((conflict) => conflict.column('name').doUpdateSet(set))
        .execute();
    },

    async deactivate(name: string, now: number): Promise<void> {
      await db
        .updateTable('pipeline_models')
        .set({ active: 0, applied_at: now })
        .where('name', '=', name)
        .execute();
    },

    async setScheduleAfter(name: string, at: number): Promise<void> {
      await db.updateTable('pipeline_models').set({ schedule_after: at }).where('name', '=', name).execute();
    },

    async setSource(name: string, source: NonNullable<PipelineModel['source']>): Promise<void> {
      await db
        .updateTable('pipeline_models')
        .set({ source_path: source.path, source_stamp: source.stamp, source_sha256: source.sha256 })
        .where('name', '=', name)
        .execute();
    },

    async findDecision(key: string): Promise<Decision | undefined> {
      const row = await db
        .selectFrom('pipeline_decisions')
        .selectAll()
        .where('decision_key', '=', key)
        .executeTakeFirst();
      return row && toDecision(row);
    },

    /** Newest first. */
    async listDecisions(model: string, limit: number): Promise<Decision[]> {
      const rows = await db
        .selectFrom('pipeline_decisions')
        .selectAll()
        .where('model', '=', model)
        .orderBy('sequence', 'desc')
        .limit(limit)
        .execute();
      return rows.map(toDecision);
    },

    async lastStarted(model: string): Promise<Decision | undefined> {
      const row = await db
        .selectFrom('pipeline_decisions')
        .selectAll()
        .where('model', '=', model)
        .where('outcome', '=', 'started')
        .orderBy('sequence', 'desc')
        .limit(1)
        .executeTakeFirst();
      return row && toDecision(row);
    },

    async attachRun(key: string, runId: string): Promise<void> {
      await db
        .updateTable('pipeline_decisions')
        .set({ run_id: runId })
        .where('decision_key', '=', key)
        .execute();
    },

    /** Keeps other transactions from deciding about this model until this one ends. */
    async lockModel(name: string): Promise<void> {
      await db
        .updateTable('pipeline_models')
        .set((eb) => ({ active: eb.ref('active') }))
        .where('name', '=', name)
        .execute();
    },

    /** Records a decision; one that was skipped may start later, and one that started stays as it is. */
    async decide(decision: NewDecision): Promise<Decision> {
      const { sequence } = await db
        .updateTable('pipeline_counter')
        .set((eb) => ({ sequence: eb('sequence', '+', 1) }))
        .where('only_row', '=', 1)
        .returning('sequence')
        .executeTakeFirstOrThrow();
      const { decision_key, ...rest } = toRow({ ...decision, sequence });
      await db
        .insertInto('pipeline_decisions')
        .values({ decision_key, ...rest })
        .onConflict((conflict) =>
          conflict
            .column('decision_key')
            .doUpdateSet(rest)
            .where('pipeline_decisions.outcome', '=', 'skipped'),
        )
        .execute();
      return (await this.findDecision(decision_key)) as Decision;
    },
  };
}

export type PipelineStore = ReturnType<typeof createPipelineStore>;

function toModel(row: PipelineTables['pipeline_models']): PipelineModel {
  const { source_path: path, source_stamp: stamp, source_sha256: sha256 } = row;
  return {
    name: row.name,
    config: JSON.parse(row.config) as unknown,
    folder: row.folder,
    active: row.active === 1,
    appliedAt: row.applied_at,
    scheduleAfter: row.schedule_after,
    source: path !== null && stamp !== null && sha256 !== null ? { path, stamp, sha256 } : undefined,
  };
}

function toRow(decision: Decision): PipelineTables['pipeline_decisions'] {
  return {
    decision_key: decision.key,
    sequence: decision.sequence,
    model: decision.model,
    at: decision.at,
    kind: decision.kind,
    detail: JSON.stringify(decision.detail),
    actor: decision.actor,
    outcome: decision.outcome,
    reason: decision.reason ?? null,
    run_id: decision.runId ?? null,
    dataset_version: decision.datasetVersion ?? null,
    labelled_rows: decision.labelledRows ?? null,
  };
}

function toDecision(row: PipelineTables['pipeline_decisions']): Decision {
  return {
    key: row.decision_key,
    sequence: row.sequence,
    model: row.model,
    at: row.at,
    kind: row.kind as TriggerKind,
    detail: JSON.parse(row.detail) as Record<string, unknown>,
    actor: row.actor,
    outcome: row.outcome as Decision['outcome'],
    reason: row.reason ?? undefined,
    runId: row.run_id ?? undefined,
    datasetVersion: row.dataset_version ?? undefined,
    labelledRows: row.labelled_rows ?? undefined,
  };
}
