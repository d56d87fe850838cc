import { ApiError, appendAudit, command, type Tx } from '../../platform/index.ts';
import { cutOffSteps } from './holder-commands.ts';
import { FINISHED, type JobDb, type RunRow } from './tables.ts';

export interface NewRun {
  runId: string;
  flow: string;
  key: string;
  subject: string;
  /** JSON. */
  input: string;
  triggerKind: string;
  /** JSON. */
  triggerDetail: string | null;
  actor: string;
  now: number;
}

/** Starts a run, once for each key of a flow: later it answers the run that the key started, even when that is gone. */
export const startRun = command(
  'job.start',
  async (tx: Tx, input: NewRun): Promise<{ runId: string; isNew: boolean }> => {
    const db = tx as JobDb;
    const { flow, key, now } = input;
    const first = await db
      .insertInto('job_keys')
      .values({ flow, key, run_id: input.runId })
      .onConflict((conflict) => conflict.doNothing())
      .returning('run_id')
      .executeTakeFirst();
    if (first === undefined) {
      const known = await db
        .selectFrom('job_keys')
        .select('run_id')
        .where('flow', '=', flow)
        .where('key', '=', key)
        .executeTakeFirstOrThrow();
      return { runId: known.run_id, isNew: false };
    }
    const { sequence } = await db
      .updateTable('job_counter')
      .set((eb) => ({ sequence: eb('sequence', '+', 1) }))
      .where('only_row', '=', 1)
      .returning('sequence')
      .executeTakeFirstOrThrow();
    const run: RunRow = {
      run_id: input.runId,
      sequence,
      flow,
      key,
      subject: input.subject,
      input: input.input,
      trigger_kind: input.triggerKind,
      trigger_detail: input.triggerDetail,
      actor: input.actor,
      status: 'pending',
      epoch: 0,
      holder: null,
      lease_until: null,
      wake_at: null,
      waiting_for: null,
      output: null,
      error: null,
      failed_step: null,
      log_lines: 0,
      created_at: now,
      started_at: null,
      finished_at: null,
      work_ms: 0,
    };
    await db.insertInto('job_runs').values(run).execute();
    await appendAudit(tx, {
      at: now,
      actor: input.actor,
      action: 'job.start',
      subject: `jobs/${input.runId}`,
      evidence: {
        flow,
        subject: input.subject,
        trigger: input.triggerKind,
        ...(input.triggerDetail !== null && { detail: JSON.parse(input.triggerDetail) as unknown }),
      },
    });
    return { runId: input.runId, isNew: true };
  },
);

/** What a person does to a run. */
export interface Act {
  runId: string;
  actor: string;
  reason: string | null;
  now: number;
}

/** The run, held for the rest of the transaction. */
async function lockRun(tx: Tx, runId: string): Promise<RunRow> {
  const run = await (tx as JobDb)
    .updateTable('job_runs')
    .set((eb) => ({ epoch: eb.ref('epoch') }))
    .where('run_id', '=', runId)
    .returningAll()
    .executeTakeFirst();
  if (run === undefined)
    throw new ApiError(
      'RESOURCE_DOES_NOT_EXIST',
      `No job with run_id=${runId}; to see those there are: tidemill jobs list`,
    );
  return run;
}

function audit(tx: Tx, act: Act, action: string, evidence: Record<string, unknown>) {
  return appendAudit(tx, {
    at: act.now,
    actor: act.actor,
    action,
    subject: `jobs/${act.runId}`,
    ...(act.reason !== null && { reason: act.reason }),
    evidence,
  });
}

/** Cancels a run for good: from here on its holder's writes are refused. False when it was cancelled already. */
export const cancelRun = command('job.cancel', async (tx: Tx, act: Act): Promise<boolean> => {
  const db = tx as JobDb;
  const run = await lockRun(tx, act.runId);
  if (run.status === 'cancelled') return false;
  if (FINISHED.includes(run.status)) {
    throw new ApiError('RESOURCE_CONFLICT', `The job ${act.runId} has ${run.status} already`);
  }
  const why = act.reason === null ? '' : `: ${act.reason}`;
  await db
    .updateTable('job_runs')
    .set((eb) => ({
      status: 'cancelled',
      epoch: eb('epoch', '+', 1),
      holder: null,
      lease_until: null,
      wake_at: null,
      waiting_for: null,
      error: JSON.stringify({ message: `Cancelled by ${act.actor}${why}` }),
      finished_at: act.now,
    }))
    .where('run_id', '=', act.runId)
    .execute();
  await cutOffSteps(tx, act.runId, act.now);
  await audit(tx, act, 'job.cancel', { was: run.status });
  return true;
});

/** Decides an approval step; the same decision again changes nothing. */
export const decideStep = command(
  'job.decide',
  async (tx: Tx, act: Act & { step: string; approved: boolean }): Promise<void> => {
    const db = tx as JobDb;
    const run = await lockRun(tx, act.runId);
    const { step: name, approved } = act;
    const step = await db
      .selectFrom('job_steps')
      .selectAll()
      .where('run_id', '=', act.runId)
      .where('step', '=', name)
      .executeTakeFirst();
    if (step?.kind !== 'approval') {
      throw new ApiError(
        'RESOURCE_DOES_NOT_EXIST',
        `The job ${act.runId} has not asked for an approval '${name}'${run.waiting_for === null ? '' : `; it waits for '${run.waiting_for}'`}`,
      );
    }
    if (step.approved !== null) {
      if ((step.approved === 1) === approved) return;
      throw new ApiError(
        'RESOURCE_CONFLICT',
        `'${name}' of the job ${act.runId} was ${step.approved === 1 ? 'approved' : 'rejected'} already, by ${step.decided_by}`,
      );
    }
    if (FINISHED.includes(run.status)) {
      throw new ApiError('RESOURCE_CONFLICT', `The job ${act.runId} has ${run.status} already`);
    }
    const deciders = step.deciders === null ? undefined : (JSON.parse(step.deciders) as string[]);
    if (deciders !== undefined && !deciders.includes(act.actor)) {
      throw new ApiError(
        'PERMISSION_DENIED',
        `${act.actor} may not decide '${name}': ${deciders.join(', ')} may`,
      );
    }
    if (step.forbid_self === 1 && run.trigger_kind === 'hand' && run.actor === act.actor) {
      throw new ApiError(
        'PERMISSION_DENIED',
        `${act.actor} started the job ${act.runId} and may not decide '${name}': somebody else must`,
      );
    }
    await db
      .updateTable('job_steps')
      .set({
        status: 'succeeded',
        approved: approved ? 1 : 0,
        decided_by: act.actor,
        decided_at: act.now,
        finished_at: act.now,
        reason: act.reason,
      })
      .where('run_id', '=', act.runId)
      .where('step', '=', name)
      .execute();
    await db
      .updateTable('job_runs')
      .set({ status: 'pending', wake_at: null, waiting_for: null })
      .where('run_id', '=', act.runId)
      .where('status', '=', 'waiting')
      .execute();
    await audit(tx, act, approved ? 'job.approve' : 'job.reject', { step: name, question: step.question });
  },
);

/** Lets a failed or cancelled run go on: what succeeded stays, what failed or was cut off is tried afresh. */
export const retryRun = command('job.retry', async (tx: Tx, act: Act): Promise<void> => {
  const db = tx as JobDb;
  const run = await lockRun(tx, act.runId);
  if (run.status !== 'failed' && run.status !== 'cancelled') {
    throw new ApiError(
      'RESOURCE_CONFLICT',
      `The job ${act.runId} is ${run.status}: only one that failed or was cancelled can be tried again`,
    );
  }
  await db
    .updateTable('job_runs')
    .set({ status: 'pending', error: null, failed_step: null, finished_at: null })
    .where('run_id', '=', act.runId)
    .execute();
  let steps = db
    .updateTable('job_steps')
    .set({ status: 'retrying', failures: 0, interruptions: 0, finished_at: null })
    .where('run_id', '=', act.runId)
    .where('kind', '=', 'work');
  // A failure that the flow dealt with stays one: it went another way from there.
  steps =
    run.failed_step === null
      ? steps.where('status', 'in', ['failed', 'cancelled'])
      : steps.where((eb) =>
          eb.or([eb('status', '=', 'cancelled'), eb('step', '=', run.failed_step as string)]),
        );
  await steps.execute();
  await db
    .updateTable('job_steps')
    .set({ status: 'waiting', finished_at: null })
    .where('run_id', '=', act.runId)
    .where('kind', '!=', 'work')
    .where('status', '=', 'cancelled')
    .execute();
  // What was rejected is asked again.
  await db
    .updateTable('job_steps')
    .set({
      status: 'waiting',
      approved: null,
      decided_by: null,
      decided_at: null,
      finished_at: null,
      reason: null,
    })
    .where('run_id', '=', act.runId)
    .where('approved', '=', 0)
    .execute();
  await audit(tx, act, 'job.retry', { was: run.status, failed_step: run.failed_step });
});

export interface Prune {
  /** Finished before this is removed. */
  before: number;
  /** Of each flow so many finished runs are kept. */
  keepRuns: number;
  /** The most that one call removes. */
  limit: number;
}

/** Removes finished runs with their steps and lines; their keys stay. Answers how many. */
export const pruneRuns = command('job.prune', async (tx: Tx, input: Prune): Promise<number> => {
  const db = tx as JobDb;
  const finished = () => db.selectFrom('job_runs').select('run_id').where('status', 'in', FINISHED);
  const old = await finished()
    .where('finished_at', '<', input.before)
    .orderBy('sequence')
    .limit(input.limit)
    .execute();
  const doomed = new Set(old.map(({ run_id }) => run_id));
  for (const { flow } of await db.selectFrom('job_runs').select('flow').distinct().execute()) {
    const beyond = await finished()
      .where('flow', '=', flow)
      .orderBy('sequence', 'desc')
      .offset(input.keepRuns)
      .limit(input.limit)
      .execute();
    for (const { run_id } of beyond) doomed.add(run_id);
  }
  const ids = [...doomed].slice(0, input.limit);
  if (ids.length > 0) await db.deleteFrom('job_runs').where('run_id', 'in', ids).execute();
  return ids.length;
});
