import { type CompiledQuery, type RawBuilder, sql } from 'kysely';
import type { Tx } from '../platform/index.ts';
import { storedMetricValue } from './check-logged-values.ts';
import { createRunStore } from './run-store.ts';
import type { Metric, TrackingDb } from './tables.ts';

/** Builds a statement once for each connection: compiling it takes longer than running it. */
function compileOnce(build: (parameters: readonly unknown[]) => RawBuilder<unknown>) {
  const compiled = new WeakMap<TrackingDb, CompiledQuery>();
  return (db: TrackingDb, parameters: readonly unknown[]) => {
    let query = compiled.get(db);
    if (query === undefined) {
      query = build(parameters).compile(db);
      compiled.set(db, query);
    }
    return db.executeQuery({ ...query, parameters });
  };
}

/** Inserts a point of an active run; inserts nothing when the run may not be written, or has the point. */
const insertPoint = compileOnce(
  ([key, timestamp, step, value, isNan, runId]) => sql`
    insert into metrics (run_id, key, timestamp, step, value, is_nan)
    select run_id, ${key}, cast(${timestamp} as bigint), cast(${step} as bigint),
      cast(${value} as double precision), cast(${isNan} as integer)
    from runs where run_id = ${runId} and lifecycle_stage = 'active'
    on conflict do nothing`,
);

const keepLatest = compileOnce(
  ([runId, key, value, timestamp, step, isNan]) => sql`
    insert into latest_metrics (run_id, key, value, timestamp, step, is_nan)
    values (${runId}, ${key}, ${value}, ${timestamp}, ${step}, ${isNan})
    on conflict (run_id, key) do update set value = excluded.value, timestamp = excluded.timestamp,
      step = excluded.step, is_nan = excluded.is_nan
    where (excluded.step, excluded.timestamp, excluded.value)
      > (latest_metrics.step, latest_metrics.timestamp, latest_metrics.value)`,
);

/** Every logged point of a metric, and beside it the latest one: the largest (step, timestamp, value). */
export function createMetricStore(tx: Tx) {
  const db = tx as TrackingDb;

  return {
    /**
     * Logs one point to an active run in two statements, the run's check included: this is the hottest write of the
     * platform. An identical point is logged once.
     */
    async logPoint(runId: string, metric: Metric): Promise<void> {
      const { key, timestamp, step } = metric;
      const isNan = Number.isNaN(metric.value) ? 1 : 0;
      const value = isNan ? 0 : storedMetricValue(metric.value);
      const inserted = await insertPoint(db, [key, timestamp, step, value, isNan, runId]);
      if (inserted.numAffectedRows === 0n) {
        // Nothing was inserted: either the point is known, or the run may not be written.
        await createRunStore(tx).getActive(runId);
        return;
      }
      await keepLatest(db, [runId, key, value, timestamp, step, isNan]);
    },

    /**
     * All points of one metric, by timestamp, step and value. `after` is the number of points that earlier pages gave.
     */
    async history(
      runId: string,
      key: string,
      page: { limit: number; after: number },
    ): Promise<{ metrics: Metric[]; hasMore: boolean }> {
      const rows = await db
        .selectFrom('metrics')
        .select(['key', 'value', 'timestamp', 'step', 'is_nan'])
        .where('run_id', '=', runId)
        .where('key', '=', key)
        .orderBy('timestamp')
        .orderBy('step')
        .orderBy('value')
        .limit(page.limit + 1)
        .offset(page.after)
        .execute();
      return { metrics: rows.slice(0, page.limit).map(toMetric), hasMore: rows.length > page.limit };
    },
  };
}

export function toMetric(row: {
  key: string;
  value: number;
  timestamp: number;
  step: number;
  is_nan: number;
}): Metric {
  return {
    key: row.key,
    value: row.is_nan ? Number.NaN : row.value,
    timestamp: row.timestamp,
    step: row.step,
  };
}
