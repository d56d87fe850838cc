import { sql } from 'kysely';
import { command, type DialectName, type Tx } from '../../platform/index.ts';
import { type Claim, databaseNow, holdRun } from './run-writes.ts';
import type { JobDb, RunRow, StepRow } from './tables.ts';

export interface ClaimedRun {
  run: RunRow;
  steps: StepRow[];
}

interface ClaimRuns {
  dialect: DialectName;
  holder: string;
  /** Undefined on SQLite, where the file's lock is the lease. */
  leaseMs: number | undefined;
  flows: string[];
  limit: number;
  now: number;
}

/** Runs that are due: new ones, those whose time to go on has come, and those whose holder is gone. */
export function dueRuns(db: JobDb, { dialect, flows, now }: Pick<ClaimRuns, 'dialect' | 'flows' | 'now'>) {
  return db
    .selectFrom('job_runs')
    .where('status', 'in', ['pending', 'waiting', 'running'])
    .where('flow', 'in', flows)
    .where((eb) =>
      eb.or([
        eb('status', '=', 'pending'),
        eb.and([eb('status', '=', 'waiting'), eb('wake_at', '<=', now)]),
        eb.and([
          eb('status', '=', 'running'),
          eb.or([eb('holder', 'is', null), eb('lease_until', '<', databaseNow(dialect))]),
        ]),
      ]),
    );
}

/** Takes runs that are due, under a new epoch each; what their former holder left unfinished is marked so. */
export const claimRuns = command('job.claim', async (tx: Tx, input: ClaimRuns): Promise<ClaimedRun[]> => {
  const db = tx as JobDb;
  const due = dueRuns(db, input).select(['run_id', 'epoch', 'status']).orderBy('sequence').limit(input.limit);
  // Replicas that look at the same moment take different ones.
  const candidates = await (input.dialect === 'postgres' ? due.forUpdate().skipLocked() : due).execute();
  const claimed: ClaimedRun[] = [];
  for (const candidate of candidates) {
    const run = await db
      .updateTable('job_runs')
      .set((eb) => ({
        status: 'running',
        holder: input.holder,
        epoch: eb('epoch', '+', 1),
        lease_until: leaseEnd(input),
        wake_at: null,
        waiting_for: null,
        started_at: eb.fn.coalesce('started_at', eb.val(input.now)),
      }))
      .where('run_id', '=', candidate.run_id)
      .where('epoch', '=', candidate.epoch)
      .where('status', '=', candidate.status)
      .returningAll()
      .executeTakeFirst();
    if (run === undefined) continue; // Another replica was faster.
    await db
      .updateTable('job_attempts')
      .set({ outcome: 'interrupted', finished_at: input.now })
      .where('run_id', '=', run.run_id)
      .where('outcome', 'is', null)
      .execute();
    if (candidate.status === 'running') {
      await db
        .updateTable('job_steps')
        .set((eb) => ({ interruptions: eb('interruptions', '+', 1), progress: null, progress_note: null }))
        .where('run_id', '=', run.run_id)
        .where('status', '=', 'running')
        .execute();
    }
    const steps = await db.selectFrom('job_steps').selectAll().where('run_id', '=', run.run_id).execute();
    claimed.push({ run, steps });
  }
  return claimed;
});

/** When a lease that begins now ends, by the database's clock. */
function leaseEnd({ dialect, leaseMs }: Pick<ClaimRuns, 'dialect' | 'leaseMs'>) {
  return leaseMs === undefined ? null : sql<number>`${databaseNow(dialect)} + ${leaseMs}`;
}

/**
 * On SQLite the file's lock proves that whoever held a run before this process is dead: every run is free at once, and
 * a write of a former holder within this process is refused.
 */
export const freeAllRuns = command('job.freeAll', async (tx: Tx, now: number): Promise<void> => {
  const db = tx as JobDb;
  await db
    .updateTable('job_runs')
    .set((eb) => ({ holder: null, lease_until: null, epoch: eb('epoch', '+', 1) }))
    .where('status', '=', 'running')
    .execute();
  await db
    .updateTable('job_attempts')
    .set({ outcome: 'interrupted', finished_at: now })
    .where('outcome', 'is', null)
    .execute();
});

/** Lengthens the leases that are still this holder's; answers the runs that are not. */
export const renewRuns = command(
  'job.renew',
  async (tx: Tx, input: { dialect: DialectName; leaseMs: number; claims: Claim[] }): Promise<string[]> => {
    const lost: string[] = [];
    // In one order, so that two replicas never wait for each other.
    for (const { runId, epoch } of [...input.claims].sort((a, b) => (a.runId < b.runId ? -1 : 1))) {
      const kept = await (tx as JobDb)
        .updateTable('job_runs')
        .set({ lease_until: leaseEnd(input) })
        .where('run_id', '=', runId)
        .where('epoch', '=', epoch)
        .where('status', '=', 'running')
        .returning('run_id')
        .executeTakeFirst();
      if (kept === undefined) lost.push(runId);
    }
    return lost;
  },
);

/**
 * Lets go of a run that does nothing but wait. One of whose approvals was decided meanwhile does not wait: it is free
 * to be claimed at once.
 */
export const parkRun = command('job.park', async (tx: Tx, input: Claim): Promise<'waiting' | 'pending'> => {
  const db = tx as JobDb;
  await holdRun(tx, input);
  const steps = await db
    .selectFrom('job_steps')
    .selectAll()
    .where('run_id', '=', input.runId)
    .where('kind', '!=', 'work')
    .where('finished_at', 'is', null)
    .orderBy('position')
    .execute();
  const isDecided = steps.some((step) => step.approved !== null);
  const waiting = steps.filter((step) => step.approved === null);
  const wakeTimes = waiting.flatMap(({ wake_at: at }) => (at === null ? [] : [at]));
  const status = isDecided || waiting.length === 0 ? 'pending' : 'waiting';
  await db
    .updateTable('job_runs')
    .set({
      status,
      holder: null,
      lease_until: null,
      wake_at: status === 'waiting' && wakeTimes.length > 0 ? Math.min(...wakeTimes) : null,
      waiting_for: status === 'waiting' ? (waiting[0]?.step ?? null) : null,
    })
    .where('run_id', '=', input.runId)
    .execute();
  return status;
});

/** Gives runs back before their process ends, so that whoever comes next goes on at once. */
export const releaseRuns = command(
  'job.release',
  async (tx: Tx, { claims, now }: { claims: Claim[]; now: number }): Promise<void> => {
    const db = tx as JobDb;
    for (const { runId, epoch } of claims) {
      const released = await db
        .updateTable('job_runs')
        .set({ status: 'pending', holder: null, lease_until: null })
        .where('run_id', '=', runId)
        .where('epoch', '=', epoch)
        .where('status', '=', 'running')
        .returning('run_id')
        .executeTakeFirst();
      if (released === undefined) continue;
      await db
        .updateTable('job_steps')
        .set({ status: 'retrying', progress: null, progress_note: null })
        .where('run_id', '=', runId)
        .where('status', '=', 'running')
        .execute();
      await db
        .updateTable('job_attempts')
        .set({ outcome: 'interrupted', finished_at: now })
        .where('run_id', '=', runId)
        .where('outcome', 'is', null)
        .execute();
    }
  },
);

export interface FinishRun extends Claim {
  now: number;
  status: 'succeeded' | 'failed';
  output: string | null;
  error: string | null;
  failedStep: string | null;
}

/** Ends a run. */
export const finishRun = command('job.finish', async (tx: Tx, input: FinishRun): Promise<void> => {
  await holdRun(tx, input);
  await (tx as JobDb)
    .updateTable('job_runs')
    .set({
      status: input.status,
      output: input.output,
      error: input.error,
      failed_step: input.failedStep,
      finished_at: input.now,
      holder: null,
      lease_until: null,
      wake_at: null,
      waiting_for: null,
    })
    .where('run_id', '=', input.runId)
    .execute();
  // A flow may end while others of its steps are under way or waited for.
  await cutOffSteps(tx, input.runId, input.now);
});

/** Marks as cancelled what a run that is over leaves undone. */
export async function cutOffSteps(tx: Tx, runId: string, now: number): Promise<void> {
  const db = tx as JobDb;
  await db
    .updateTable('job_steps')
    .set({ status: 'cancelled', finished_at: now })
    .where('run_id', '=', runId)
    .where('status', 'in', ['running', 'retrying', 'waiting'])
    .execute();
  await db
    .updateTable('job_attempts')
    .set({ outcome: 'cancelled', finished_at: now })
    .where('run_id', '=', runId)
    .where('outcome', 'is', null)
    .execute();
}
