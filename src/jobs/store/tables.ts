import type { Kysely } from 'kysely';

export const RUN_STATUSES = ['pending', 'running', 'waiting', 'succeeded', 'failed', 'cancelled'] as const;
export type RunStatus = (typeof RUN_STATUSES)[number];

export const FINISHED: readonly RunStatus[] = ['succeeded', 'failed', 'cancelled'];

export const STEP_STATUSES = ['running', 'retrying', 'waiting', 'succeeded', 'failed', 'cancelled'] as const;
export type StepStatus = (typeof STEP_STATUSES)[number];

export const STEP_KINDS = ['work', 'sleep', 'approval'] as const;
export type StepKind = (typeof STEP_KINDS)[number];

export const ATTEMPT_OUTCOMES = ['succeeded', 'failed', 'interrupted', 'cancelled'] as const;
export type AttemptOutcome = (typeof ATTEMPT_OUTCOMES)[number];

/**
 * The tables of this slice. Times are milliseconds since the epoch by the injected clock, but for `lease_until`, which
 * is the database's own; durations are real milliseconds.
 */
export interface JobTables {
  /** One row: the sequence of the newest run, so that runs have an order that no clock disturbs. */
  job_counter: { only_row: number; sequence: number };
  /** Outlives its run, so that a key starts one run ever. */
  job_keys: { flow: string; key: string; run_id: string };
  job_runs: {
    run_id: string;
    sequence: number;
    flow: string;
    key: string;
    subject: string;
    input: string;
    trigger_kind: string;
    trigger_detail: string | null;
    actor: string;
    status: RunStatus;
    /** Rises whenever the run changes hands: a write that carries an older one is refused. */
    epoch: number;
    holder: string | null;
    lease_until: number | null;
    /** When a waiting run goes on by itself. */
    wake_at: number | null;
    waiting_for: string | null;
    output: string | null;
    error: string | null;
    /** The step that the run failed at, when it was one. */
    failed_step: string | null;
    /** Log lines written ever; the newest are kept. */
    log_lines: number;
    created_at: number;
    started_at: number | null;
    finished_at: number | null;
    work_ms: number;
  };
  job_steps: {
    run_id: string;
    step: string;
    position: number;
    kind: StepKind;
    status: StepStatus;
    attempts: number;
    /** Failed attempts since the run was last started or retried. */
    failures: number;
    /** Attempts in a row that the end of their process cut off. */
    interruptions: number;
    result: string | null;
    error: string | null;
    progress: number | null;
    progress_note: string | null;
    started_at: number;
    finished_at: number | null;
    work_ms: number;
    wake_at: number | null;
    question: string | null;
    /** JSON: who may decide. */
    deciders: string | null;
    forbid_self: number;
    approved: number | null;
    decided_by: string | null;
    decided_at: number | null;
    reason: string | null;
  };
  job_attempts: {
    run_id: string;
    step: string;
    attempt: number;
    started_at: number;
    finished_at: number | null;
    work_ms: number | null;
    outcome: AttemptOutcome | null;
    error: string | null;
  };
  job_log: { run_id: string; line: number; at: number; step: string; attempt: number; text: string };
  job_leases: { name: string; holder: string; epoch: number; lease_until: number };
}

export type JobDb = Kysely<JobTables>;
export type RunRow = JobTables['job_runs'];
export type StepRow = JobTables['job_steps'];
export type AttemptRow = JobTables['job_attempts'];
