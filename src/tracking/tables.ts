import type { Kysely } from 'kysely';

/** The tables of this slice, as the stores see them. Times are milliseconds since the epoch. */
export interface TrackingTables {
  experiment_ids: { only_row: number; last_id: number };
  experiments: {
    experiment_id: number;
    name: string;
    artifact_location: string;
    lifecycle_stage: string;
    creation_time: number;
    last_update_time: number;
  };
  experiment_tags: { experiment_id: number; key: string; value: string };
  runs: {
    run_id: string;
    experiment_id: number;
    run_name: string;
    user_id: string;
    status: string;
    start_time: number;
    end_time: number | null;
    artifact_uri: string;
    lifecycle_stage: string;
    deleted_time: number | null;
  };
  params: { run_id: string; key: string; value: string };
  tags: { run_id: string; key: string; value: string };
  metrics: { run_id: string; key: string; timestamp: number; step: number; value: number; is_nan: number };
  latest_metrics: {
    run_id: string;
    key: string;
    value: number;
    timestamp: number;
    step: number;
    is_nan: number;
  };
  logged_datasets: {
    dataset_id: string;
    experiment_id: number;
    name: string;
    digest: string;
    source_type: string;
    source: string;
    schema: string | null;
    profile: string | null;
  };
  run_datasets: { run_id: string; dataset_id: string };
  run_dataset_tags: { run_id: string; dataset_id: string; key: string; value: string };
}

export type TrackingDb = Kysely<TrackingTables>;

export type LifecycleStage = 'active' | 'deleted';

export interface KeyValue {
  key: string;
  value: string;
}

export interface Metric {
  key: string;
  /** NaN is allowed; infinities are kept as ±1.7976931348623157e308. */
  value: number;
  /** Milliseconds since the epoch. */
  timestamp: number;
  step: number;
}

export interface Experiment {
  experimentId: number;
  name: string;
  artifactLocation: string;
  lifecycleStage: LifecycleStage;
  creationTime: number;
  lastUpdateTime: number;
  tags: KeyValue[];
}

export const RUN_STATUSES = ['RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED'] as const;
export type RunStatus = (typeof RUN_STATUSES)[number];

export interface RunInfo {
  runId: string;
  experimentId: number;
  runName: string;
  userId: string;
  status: RunStatus;
  startTime: number;
  endTime: number | undefined;
  artifactUri: string;
  lifecycleStage: LifecycleStage;
}

export interface DatasetInput {
  name: string;
  digest: string;
  sourceType: string;
  source: string;
  schema: string | undefined;
  profile: string | undefined;
  tags: KeyValue[];
}

export interface Run {
  info: RunInfo;
  metrics: Metric[];
  params: KeyValue[];
  tags: KeyValue[];
  datasetInputs: DatasetInput[];
}
