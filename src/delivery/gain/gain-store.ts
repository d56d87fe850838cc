import type { Tx } from '../../platform/index.ts';
import type { GateMetric } from '../delivery-policy.ts';
import type { DeliveryDb, DeliveryTables } from '../tables.ts';
import type { Gain } from './gain.ts';

export function createGainStore(tx: Tx) {
  const db = tx as DeliveryDb;
  const all = () => db.selectFrom('delivery_gains').selectAll();

  return {
    async find(rolloutId: string): Promise<Gain | undefined> {
      const row = await all().where('rollout_id', '=', rolloutId).executeTakeFirst();
      return row && toGain(row);
    },

    async findAll(rolloutIds: readonly string[]): Promise<Map<string, Gain>> {
      if (rolloutIds.length === 0) return new Map();
      const rows = await all()
        .where('rollout_id', 'in', [...new Set(rolloutIds)])
        .execute();
      return new Map(rows.map((row) => [row.rollout_id, toGain(row)]));
    },

    /** The newest first. */
    async list(model: string, limit: number): Promise<Gain[]> {
      const rows = await all()
        .where('model', '=', model)
        .orderBy('from_at', 'desc')
        .orderBy('rollout_id', 'desc')
        .limit(limit)
        .execute();
      return rows.map(toGain);
    },

    /** Those that later labels may still change. */
    async open(): Promise<Gain[]> {
      const rows = await all().where('is_final', '=', 0).orderBy('settle_at').orderBy('rollout_id').execute();
      return rows.map(toGain);
    },

    /** Writes a gain down; one that is final stays as it is. */
    async put(gain: Gain): Promise<void> {
      const { rollout_id, ...row } = toRow(gain);
      await db
        .insertInto('delivery_gains')
        .values({ rollout_id, ...row })
        .onConflict((conflict) =>
          conflict.column('rollout_id').doUpdateSet(row).where('delivery_gains.is_final', '=', 0),
        )
        .execute();
    },
  };
}

function toRow(gain: Gain): DeliveryTables['delivery_gains'] {
  return {
    rollout_id: gain.rolloutId,
    model: gain.model,
    version: gain.version,
    predecessor: gain.predecessor,
    from_at: gain.from,
    until_at: gain.until ?? null,
    metric: gain.metric ?? null,
    difference: gain.difference ?? null,
    lo: gain.lo ?? null,
    hi: gain.hi ?? null,
    alpha: gain.alpha ?? null,
    rows_labelled: gain.rows,
    measured_at: gain.measuredAt ?? null,
    settle_at: gain.settleAt,
    is_final: gain.isFinal ? 1 : 0,
    note: gain.note ?? null,
  };
}

function toGain(row: DeliveryTables['delivery_gains']): Gain {
  return {
    rolloutId: row.rollout_id,
    model: row.model,
    version: row.version,
    predecessor: row.predecessor,
    from: row.from_at,
    until: row.until_at ?? undefined,
    metric: (row.metric ?? undefined) as GateMetric | undefined,
    difference: row.difference ?? undefined,
    lo: row.lo ?? undefined,
    hi: row.hi ?? undefined,
    alpha: row.alpha ?? undefined,
    rows: row.rows_labelled,
    measuredAt: row.measured_at ?? undefined,
    settleAt: row.settle_at,
    isFinal: row.is_final === 1,
    note: row.note ?? undefined,
  };
}
