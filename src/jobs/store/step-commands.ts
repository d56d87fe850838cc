import { command, type Tx } from '../../platform/index.ts';
import { type Claim, holdRun } from './run-writes.ts';
import type { AttemptOutcome, JobDb, RunRow, StepKind, StepRow } from './tables.ts';

/** Lines and progress of the steps under way. */
export interface Notes {
  now: number;
  lines: { step: string; attempt: number; at: number; text: string }[];
  progress: { step: string; done: number; note: string | null }[];
  /** The newest lines of a run that are kept. */
  keepLines: number;
}

const INSERT_SIZES = [256, 32, 4, 1];

async function writeNotes(tx: Tx, run: RunRow, { lines, progress, keepLines }: Notes): Promise<void> {
  const db = tx as JobDb;
  for (const { step, done, note } of progress) {
    await db
      .updateTable('job_steps')
      .set({ progress: done, progress_note: note })
      .where('run_id', '=', run.run_id)
      .where('step', '=', step)
      .execute();
  }
  if (lines.length === 0) return;
  const last = run.log_lines + lines.length;
  for (let from = 0; from < lines.length; ) {
    // Few sizes, so that few statements are prepared.
    const count = INSERT_SIZES.find((size) => size <= lines.length - from) ?? 1;
    const rows = lines
      .slice(from, from + count)
      .map((line, i) => ({ ...line, run_id: run.run_id, line: run.log_lines + from + i + 1 }));
    await db.insertInto('job_log').values(rows).execute();
    from += count;
  }
  await db.updateTable('job_runs').set({ log_lines: last }).where('run_id', '=', run.run_id).execute();
  if (last > keepLines) {
    await db
      .deleteFrom('job_log')
      .where('run_id', '=', run.run_id)
      .where('line', '<=', last - keepLines)
      .execute();
  }
}

export const noteRun = command('job.note', async (tx: Tx, input: Claim & { notes: Notes }): Promise<void> => {
  await writeNotes(tx, await holdRun(tx, input), input.notes);
});

export interface BeginStep extends Claim {
  step: string;
  position: number;
  attempt: number;
  now: number;
}

/** Records that an attempt begins. Said twice it stands once, so that a lost answer can be asked for again. */
export const beginStep = command('job.beginStep', async (tx: Tx, input: BeginStep): Promise<void> => {
  const db = tx as JobDb;
  const { runId, step, attempt, now } = input;
  await holdRun(tx, input);
  await db
    .insertInto('job_steps')
    .values({ ...newStep(input, 'work'), status: 'running', attempts: attempt })
    .onConflict((conflict) =>
      conflict.columns(['run_id', 'step']).doUpdateSet({
        status: 'running',
        attempts: attempt,
        error: null,
        progress: null,
        progress_note: null,
        finished_at: null,
      }),
    )
    .execute();
  await db
    .insertInto('job_attempts')
    .values({
      run_id: runId,
      step,
      attempt,
      started_at: now,
      finished_at: null,
      work_ms: null,
      outcome: null,
      error: null,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
});

function newStep({ runId, step, position, now }: Omit<BeginStep, 'attempt'>, kind: StepKind): StepRow {
  return {
    run_id: runId,
    step,
    position,
    kind,
    status: 'waiting',
    attempts: 0,
    failures: 0,
    interruptions: 0,
    result: null,
    error: null,
    progress: null,
    progress_note: null,
    started_at: now,
    finished_at: null,
    work_ms: 0,
    wake_at: null,
    question: null,
    deciders: null,
    forbid_self: 0,
    approved: null,
    decided_by: null,
    decided_at: null,
    reason: null,
  };
}

export interface EndStep extends Claim {
  step: string;
  attempt: number;
  now: number;
  workMs: number;
  outcome: Extract<AttemptOutcome, 'succeeded' | 'failed'>;
  /** JSON, of a step that succeeded. */
  result: string | null;
  /** JSON, of an attempt that failed. */
  error: string | null;
  willRetry: boolean;
  notes: Notes;
}

/** Records how an attempt ended; said twice it stands once. */
export const endStep = command('job.endStep', async (tx: Tx, input: EndStep): Promise<void> => {
  const db = tx as JobDb;
  const { runId, step, attempt, now, workMs, outcome, result, error, willRetry } = input;
  const run = await holdRun(tx, input);
  const ended = await db
    .updateTable('job_attempts')
    .set({ finished_at: now, work_ms: workMs, outcome, error })
    .where('run_id', '=', runId)
    .where('step', '=', step)
    .where('attempt', '=', attempt)
    .where('outcome', 'is', null)
    .returning('attempt')
    .executeTakeFirst();
  if (ended === undefined) return; // It was recorded before, and only the answer was lost.
  await writeNotes(tx, run, input.notes);
  const failed = outcome === 'failed';
  await db
    .updateTable('job_steps')
    .set((eb) => ({
      status: failed ? (willRetry ? 'retrying' : 'failed') : 'succeeded',
      result,
      error,
      failures: eb('failures', '+', failed ? 1 : 0),
      interruptions: 0,
      work_ms: eb('work_ms', '+', workMs),
      finished_at: willRetry ? null : now,
    }))
    .where('run_id', '=', runId)
    .where('step', '=', step)
    .execute();
  await db
    .updateTable('job_runs')
    .set((eb) => ({ work_ms: eb('work_ms', '+', workMs) }))
    .where('run_id', '=', runId)
    .execute();
});

/** Fails a step without an attempt: its process ended in it too often. */
export const giveUpStep = command(
  'job.giveUpStep',
  async (tx: Tx, input: Claim & { step: string; now: number; error: string }): Promise<void> => {
    await holdRun(tx, input);
    await (tx as JobDb)
      .updateTable('job_steps')
      .set({ status: 'failed', error: input.error, finished_at: input.now, interruptions: 0 })
      .where('run_id', '=', input.runId)
      .where('step', '=', input.step)
      .execute();
  },
);

export interface AwaitStep extends Claim {
  step: string;
  position: number;
  now: number;
  kind: 'sleep' | 'approval';
  wakeAt: number | null;
  question: string | null;
  deciders: string[] | null;
  forbidSelf: boolean;
}

/** Records that a run waits at a step; answers the step, which may be decided already. */
export const awaitStep = command('job.awaitStep', async (tx: Tx, input: AwaitStep): Promise<StepRow> => {
  const db = tx as JobDb;
  await holdRun(tx, input);
  await db
    .insertInto('job_steps')
    .values({
      ...newStep(input, input.kind),
      wake_at: input.wakeAt,
      question: input.question,
      deciders: input.deciders === null ? null : JSON.stringify(input.deciders),
      forbid_self: input.forbidSelf ? 1 : 0,
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  return db
    .selectFrom('job_steps')
    .selectAll()
    .where('run_id', '=', input.runId)
    .where('step', '=', input.step)
    .executeTakeFirstOrThrow();
});

/** Records that a sleep is over. */
export const endSleep = command(
  'job.endSleep',
  async (tx: Tx, input: Claim & { step: string; now: number }): Promise<void> => {
    await holdRun(tx, input);
    await (tx as JobDb)
      .updateTable('job_steps')
      .set({ status: 'succeeded', finished_at: input.now })
      .where('run_id', '=', input.runId)
      .where('step', '=', input.step)
      .execute();
  },
);
