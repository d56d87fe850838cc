import { ApiError, type Tx } from '../../platform/index.ts';
import {
  type GatePolicy,
  gatePolicySchema,
  type RolloutPolicy,
  rolloutPolicySchema,
} from '../delivery-policy.ts';
import { type DeliveryDb, type DeliveryTables, type RolloutState, UNDER_WAY } from '../tables.ts';

/** Looks that each kind of evidence has had, so that every further one spends its own part of alpha. */
export interface Looks {
  [kind: string]: { k: number; n: number };
}

/** One version on its way to become the champion, or just become it and watched. */
export interface Rollout {
  id: string;
  model: string;
  candidate: number;
  /** What served when it began; after it the predecessor. */
  champion: number;
  championRevision: number | undefined;
  state: RolloutState;
  resumeState: RolloutState | undefined;
  /** Index into the weights of the policy below 100. */
  step: number;
  /** Percent. */
  weight: number;
  gate: GatePolicy;
  policy: RolloutPolicy;
  looks: Looks;
  evidence: Record<string, unknown> | undefined;
  note: string | undefined;
  actor: string;
  reason: string | undefined;
  startedAt: number;
  stepStartedAt: number;
  promotedAt: number | undefined;
  endedAt: number | undefined;
  lookedAt: number | undefined;
  epoch: number;
}

export type RolloutChange = Partial<Omit<Rollout, 'id' | 'model' | 'candidate' | 'champion' | 'epoch'>>;

export function createRolloutStore(tx: Tx) {
  const db = tx as DeliveryDb;
  const all = () => db.selectFrom('rollouts').selectAll();

  return {
    async find(id: string): Promise<Rollout | undefined> {
      const row = await all().where('id', '=', id).executeTakeFirst();
      return row && toRollout(row);
    },

    async get(id: string): Promise<Rollout> {
      const found = await this.find(id);
      if (!found) throw new ApiError('RESOURCE_DOES_NOT_EXIST', `No rollout with id=${id}`);
      return found;
    },

    /** The rollout of a model whose candidate waits for its place. */
    async findUnderWay(model: string): Promise<Rollout | undefined> {
      const row = await all()
        .where('model', '=', model)
        .where('state', 'in', [...UNDER_WAY])
        .executeTakeFirst();
      return row && toRollout(row);
    },

    /** Rollouts of a model that are in these states. */
    async inStates(states: readonly RolloutState[], model?: string): Promise<Rollout[]> {
      let query = all()
        .where('state', 'in', [...states])
        .orderBy('started_at')
        .orderBy('id');
      if (model !== undefined) query = query.where('model', '=', model);
      return (await query.execute()).map(toRollout);
    },

    /** The newest first. */
    async list(model: string, limit = 100): Promise<Rollout[]> {
      const rows = await all()
        .where('model', '=', model)
        .orderBy('started_at', 'desc')
        .orderBy('id', 'desc')
        .limit(limit)
        .execute();
      return rows.map(toRollout);
    },

    async add(rollout: Rollout): Promise<void> {
      const { id, model, candidate, champion, epoch } = rollout;
      await db
        .insertInto('rollouts')
        .values({ id, model, candidate, champion, epoch, ...(toColumns(rollout) as Columns) })
        .execute();
    },

    /** Changes a rollout that is still as it was when the change was decided; false when it is not. */
    async change(id: string, epoch: number, change: RolloutChange): Promise<boolean> {
      const changed = await db
        .updateTable('rollouts')
        .set({ ...toColumns(change), epoch: epoch + 1 })
        .where('id', '=', id)
        .where('epoch', '=', epoch)
        .returning('id')
        .executeTakeFirst();
      return changed !== undefined;
    },
  };
}

type Columns = Omit<DeliveryTables['rollouts'], 'id' | 'model' | 'candidate' | 'champion' | 'epoch'>;

/** Only what is named; undefined that is named becomes null. */
function toColumns(change: RolloutChange): Partial<Columns> {
  const columns: Record<string, unknown> = {};
  const put = (key: keyof RolloutChange, column: keyof Columns, write = (value: unknown) => value) => {
    if (Object.hasOwn(change, key)) columns[column] = change[key] === undefined ? null : write(change[key]);
  };
  put('championRevision', 'champion_revision');
  put('state', 'state');
  put('resumeState', 'resume_state');
  put('step', 'step');
  put('weight', 'weight');
  put('gate', 'gate', JSON.stringify);
  put('policy', 'policy', JSON.stringify);
  put('looks', 'looks', JSON.stringify);
  put('evidence', 'evidence', JSON.stringify);
  put('note', 'note');
  put('actor', 'actor');
  put('reason', 'reason');
  put('startedAt', 'started_at');
  put('stepStartedAt', 'step_started_at');
  put('promotedAt', 'promoted_at');
  put('endedAt', 'ended_at');
  put('lookedAt', 'looked_at');
  return columns as Partial<Columns>;
}

function toRollout(row: DeliveryTables['rollouts']): Rollout {
  return {
    id: row.id,
    model: row.model,
    candidate: row.candidate,
    champion: row.champion,
    championRevision: row.champion_revision ?? undefined,
    state: row.state as RolloutState,
    resumeState: (row.resume_state ?? undefined) as RolloutState | undefined,
    step: row.step,
    weight: row.weight,
    gate: gatePolicySchema.parse(JSON.parse(row.gate)),
    policy: rolloutPolicySchema.parse(JSON.parse(row.policy)),
    looks: JSON.parse(row.looks) as Looks,
    evidence: row.evidence === null ? undefined : (JSON.parse(row.evidence) as Record<string, unknown>),
    note: row.note ?? undefined,
    actor: row.actor,
    reason: row.reason ?? undefined,
    startedAt: row.started_at,
    stepStartedAt: row.step_started_at,
    promotedAt: row.promoted_at ?? undefined,
    endedAt: row.ended_at ?? undefined,
    lookedAt: row.looked_at ?? undefined,
    epoch: row.epoch,
  };
}
