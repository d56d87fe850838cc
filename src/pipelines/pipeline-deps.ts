import type { ArtifactStore } from '../artifacts/index.ts';
import type { Gain } from '../delivery/index.ts';
import type { LabelledRequest } from '../monitoring/index.ts';
import type { Clock, Database, Logger } from '../platform/index.ts';
import type { ModelFiles } from '../registry/index.ts';
import type { LabelledWindow } from './triggers/estimate-gain.ts';

/** What retraining needs of the durable runs. */
export interface JobsPort {
  start(request: {
    flow: string;
    subject: string;
    input: unknown;
    key: string;
    trigger: { kind: string; detail?: unknown };
    actor: string;
  }): Promise<{ runId: string; isNew: boolean }>;
  /** The newest first. */
  list(filter: { flow?: string; subject?: string; limit?: number }): Promise<JobSummary[]>;
}

export interface JobSummary {
  runId: string;
  status: string;
  key: string;
  createdAt: number;
  startedAt?: number | undefined;
  finishedAt?: number | undefined;
  output?: unknown;
  error?: unknown;
}

/** An alarm of monitoring, as far as retraining looks at it. */
export interface AlarmPort {
  id: string | number;
  kind: 'drift' | 'performance';
  version: string;
  column?: string | undefined;
  openedAt: number;
  /** The window that raised it. */
  window?: { from: number; to: number } | undefined;
}

/** What came of asking delivery to let a version serve. */
export interface PromotionPort {
  outcome: 'promoted' | 'rollout' | 'refused' | 'unchanged';
  from?: number | string | undefined;
  rollout?: string | undefined;
  decision: { id?: number | undefined; verdict: string; summary: string };
}

export interface LabelledExport {
  rows: number;
  digest: string;
  from?: number | undefined;
  /** After the newest row. */
  to?: number | undefined;
}

/** What retraining needs of the prediction log. */
export interface LogPort {
  exportLabelled(request: LabelledRequest): Promise<LabelledExport>;
  /** How many rows the log holds of a model. */
  counts(model: string): Promise<{ labelled: number }>;
}

export interface PipelineDeps {
  database: Database;
  artifacts: ArtifactStore;
  clock: Clock;
  logger: Logger;
  files: ModelFiles;
  /** Asked when it is needed: jobs are made of the flows that this slice gives. */
  jobs: () => JobsPort;
  delivery: {
    promote(request: {
      name: string;
      version: number;
      actor: string;
      reason: string;
      key: string;
      signal?: AbortSignal;
    }): Promise<PromotionPort>;
    /** Newest first; one that is only watched keeps no retraining away. */
    rollouts: { list(model: string): Promise<readonly { state: string }[]> };
    /** What a decision brought, by the labels that came after it. */
    gainOf(decisionId: number): Promise<Gain | undefined>;
  };
  /** Open alarms of a model. */
  openAlarms: (model: string) => Promise<readonly AlarmPort[]>;
  /** The newest closed windows of a version, to see what a retraining may win back. */
  windows: (model: string, filter: { version: string; limit: number }) => Promise<readonly LabelledWindow[]>;
  log: LogPort;
  /** Where tables and models lie while a step works on them. */
  workFolder: string;
  /** The version of Tidemill, kept with what it trains. */
  codeVersion: string;
  /** Real milliseconds, from any start; by default `performance.now`. */
  realNow?: () => number;
}
