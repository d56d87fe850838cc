import { type RawBuilder, sql } from 'kysely';
import { ApiError, type DialectName, type Tx } from '../../platform/index.ts';
import type { JobDb, RunRow } from './tables.ts';

/** Who writes: a run's holder, and the epoch of its lease. */
export interface Claim {
  runId: string;
  epoch: number;
}

/** The database's own time in milliseconds: leases go by it, so that replicas need no common clock. */
export function databaseNow(dialect: DialectName): RawBuilder<number> {
  return dialect === 'postgres'
    ? sql<number>`cast(floor(extract(epoch from clock_timestamp()) * 1000) as bigint)`
    : sql<number>`cast(unixepoch('subsec') * 1000 as integer)`;
}

/** Thrown out of a write whose run has passed to another holder, was cancelled, or is gone. */
export function leaseLost({ runId, epoch }: Claim): ApiError {
  return new ApiError('RESOURCE_CONFLICT', `The run ${runId} is no longer held under epoch ${epoch}`, {
    leaseLost: true,
  });
}

export function isLeaseLost(error: unknown): boolean {
  return error instanceof ApiError && error.details?.['leaseLost'] === true;
}

/**
 * Holds the run's row for the rest of the transaction, and refuses a writer whose epoch is not the present one. On
 * PostgreSQL the row lock makes a cancellation and a step's end happen one after the other.
 */
export async function holdRun(tx: Tx, claim: Claim): Promise<RunRow> {
  const run = await (tx as JobDb)
    .updateTable('job_runs')
    .set((eb) => ({ epoch: eb.ref('epoch') }))
    .where('run_id', '=', claim.runId)
    .where('epoch', '=', claim.epoch)
    .where('status', '=', 'running')
    .returningAll()
    .executeTakeFirst();
  if (run === undefined) throw leaseLost(claim);
  return run;
}
