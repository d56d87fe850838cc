import type { Kysely } from 'kysely';

/** What may start a retraining. */
export const TRIGGER_KINDS = [
  'first',
  'schedule',
  'drift',
  'performance',
  'newData',
  'webhook',
  'hand',
] as const;
export type TriggerKind = (typeof TRIGGER_KINDS)[number];

/** The tables of this slice. Times are milliseconds since the epoch, by the injected clock. */
export interface PipelineTables {
  /** One row for each model that a project ever named. */
  pipeline_models: {
    name: string;
    /** The model as the project file has it: JSON. */
    config: string;
    /** Where the project file lies: paths of data are relative to it. */
    folder: string;
    active: number;
    applied_at: number;
    /** Schedules are due after this. */
    schedule_after: number;
    /** The source file as it was registered last. */
    source_path: string | null;
    source_stamp: string | null;
    source_sha256: string | null;
  };
  /** Every decision for or against a retraining, with its cause. */
  pipeline_decisions: {
    /** Names the cause: the same cause is decided once, and a skipped one may start later. */
    decision_key: string;
    sequence: number;
    model: string;
    at: number;
    kind: string;
    /** JSON: the alarm, the time of the schedule, the digest … */
    detail: string;
    actor: string;
    outcome: string;
    /** Why it was skipped. */
    reason: string | null;
    run_id: string | null;
    dataset_version: number | null;
    labelled_rows: number | null;
  };
  pipeline_counter: { only_row: number; sequence: number };
}

export type PipelineDb = Kysely<PipelineTables>;

export interface PipelineModel {
  name: string;
  config: unknown;
  folder: string;
  active: boolean;
  appliedAt: number;
  scheduleAfter: number;
  source: { path: string; stamp: string; sha256: string } | undefined;
}

export interface Decision {
  key: string;
  sequence: number;
  model: string;
  at: number;
  kind: TriggerKind;
  detail: Record<string, unknown>;
  actor: string;
  outcome: 'started' | 'skipped';
  reason: string | undefined;
  runId: string | undefined;
  /** Of the dataset's versions, the newest when the retraining started. */
  datasetVersion: number | undefined;
  /** Labelled rows in the log when the retraining started. */
  labelledRows: number | undefined;
}
