import { ApiError, type Tx } from '../../platform/index.ts';
import type { RecordedError } from './job-error.ts';
import { fromJson } from './run-json.ts';
import type { AttemptOutcome, AttemptRow, JobDb, JobTables, RunRow, RunStatus, StepRow } from './tables.ts';

export interface RunFilter {
  flow?: string;
  subject?: string;
  status?: readonly RunStatus[];
  /** Default 100. */
  limit?: number;
  /** The sequence of the last run of the page before. */
  before?: number;
}

export interface JobRun {
  runId: string;
  /** Runs in the order of their start. */
  sequence: number;
  flow: string;
  key: string;
  subject: string;
  input: unknown;
  trigger: { kind: string; detail?: unknown };
  actor: string;
  status: RunStatus;
  waitingFor: string | undefined;
  wakeAt: number | undefined;
  output: unknown;
  error: RecordedError | undefined;
  failedStep: string | undefined;
  logLines: number;
  createdAt: number;
  startedAt: number | undefined;
  finishedAt: number | undefined;
  /** Real milliseconds that its steps' attempts took. */
  workMs: number;
}

export interface JobStep {
  step: string;
  kind: StepRow['kind'];
  status: StepRow['status'];
  attempts: {
    attempt: number;
    startedAt: number;
    finishedAt: number | undefined;
    workMs: number | undefined;
    outcome: AttemptOutcome | undefined;
    error: RecordedError | undefined;
  }[];
  result: unknown;
  error: RecordedError | undefined;
  progress: number | undefined;
  progressNote: string | undefined;
  startedAt: number;
  finishedAt: number | undefined;
  workMs: number;
  wakeAt: number | undefined;
  approval:
    | {
        question: string;
        deciders: string[] | undefined;
        forbidSelf: boolean;
        approved: boolean | undefined;
        by: string | undefined;
        at: number | undefined;
        reason: string | undefined;
      }
    | undefined;
}

export type LogLine = Omit<JobTables['job_log'], 'run_id'>;

/** Reads runs; `db` is `database.reader`. */
export function createRunStore(tx: Tx) {
  const db = tx as JobDb;

  async function find(runId: string): Promise<JobRun | undefined> {
    const row = await db.selectFrom('job_runs').selectAll().where('run_id', '=', runId).executeTakeFirst();
    return row && toRun(row);
  }

  async function get(runId: string): Promise<JobRun> {
    const run = await find(runId);
    if (run === undefined) {
      throw new ApiError(
        'RESOURCE_DOES_NOT_EXIST',
        `No job with run_id=${runId}; to see those there are: tidemill jobs list`,
      );
    }
    return run;
  }

  return {
    find,
    get,

    /** The newest first. */
    async list({ flow, subject, status, limit = 100, before }: RunFilter = {}): Promise<JobRun[]> {
      let query = db.selectFrom('job_runs').selectAll().orderBy('sequence', 'desc').limit(limit);
      if (flow !== undefined) query = query.where('flow', '=', flow);
      if (subject !== undefined) query = query.where('subject', '=', subject);
      if (status !== undefined && status.length > 0) query = query.where('status', 'in', status);
      if (before !== undefined) query = query.where('sequence', '<', before);
      return (await query.execute()).map(toRun);
    },

    /** In the order in which they began. */
    async steps(runId: string): Promise<JobStep[]> {
      const [steps, attempts] = await Promise.all([
        db.selectFrom('job_steps').selectAll().where('run_id', '=', runId).orderBy('position').execute(),
        db.selectFrom('job_attempts').selectAll().where('run_id', '=', runId).orderBy('attempt').execute(),
      ]);
      return steps.map((step) => toStep(step, attempts));
    },

    /** Lines after the line `after`. */
    async log(runId: string, after: number, limit: number): Promise<LogLine[]> {
      return db
        .selectFrom('job_log')
        .select(['line', 'at', 'step', 'attempt', 'text'])
        .where('run_id', '=', runId)
        .where('line', '>', after)
        .orderBy('line')
        .limit(limit)
        .execute();
    },
  };
}

function toRun(row: RunRow): JobRun {
  return {
    runId: row.run_id,
    sequence: row.sequence,
    flow: row.flow,
    key: row.key,
    subject: row.subject,
    input: JSON.parse(row.input) as unknown,
    trigger: {
      kind: row.trigger_kind,
      ...(row.trigger_detail !== null && { detail: JSON.parse(row.trigger_detail) as unknown }),
    },
    actor: row.actor,
    status: row.status,
    waitingFor: row.waiting_for ?? undefined,
    wakeAt: row.wake_at ?? undefined,
    output: fromJson(row.output),
    error: fromJson(row.error),
    failedStep: row.failed_step ?? undefined,
    logLines: row.log_lines,
    createdAt: row.created_at,
    startedAt: row.started_at ?? undefined,
    finishedAt: row.finished_at ?? undefined,
    workMs: row.work_ms,
  };
}

function toStep(row: StepRow, attempts: AttemptRow[]): JobStep {
  return {
    step: row.step,
    kind: row.kind,
    status: row.status,
    attempts: attempts
      .filter(({ step }) => step === row.step)
      .map((each) => ({
        attempt: each.attempt,
        startedAt: each.started_at,
        finishedAt: each.finished_at ?? undefined,
        workMs: each.work_ms ?? undefined,
        outcome: each.outcome ?? undefined,
        error: fromJson(each.error),
      })),
    result: fromJson(row.result),
    error: fromJson(row.error),
    progress: row.progress ?? undefined,
    progressNote: row.progress_note ?? undefined,
    startedAt: row.started_at,
    finishedAt: row.finished_at ?? undefined,
    workMs: row.work_ms,
    wakeAt: row.wake_at ?? undefined,
    approval:
      row.question === null
        ? undefined
        : {
            question: row.question,
            deciders: fromJson(row.deciders),
            forbidSelf: row.forbid_self === 1,
            approved: row.approved === null ? undefined : row.approved === 1,
            by: row.decided_by ?? undefined,
            at: row.decided_at ?? undefined,
            reason: row.reason ?? undefined,
          },
  };
}
