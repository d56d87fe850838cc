import type { Clock, Command, Database, Logger } from '../platform/index.ts';
import type { CrashPoint } from './flow.ts';
import type { JobMetrics } from './job-metrics.ts';
import type { RunNotes } from './run-notes.ts';
import type { Claim } from './store/run-writes.ts';

export interface RunDeps {
  database: Database;
  clock: Clock;
  logger: Logger;
  metrics: JobMetrics;
  crash?: (point: CrashPoint, key: string) => void;
  /** Something of a run has changed. */
  changed: () => void;
}

/** What a step needs of the execution it is part of. */
export interface StepHost extends RunDeps {
  claim: Claim;
  signal: AbortSignal;
  notes: RunNotes;
  /** Writes under the lease; never settles once the execution is over. */
  write<I extends object, O>(command: Command<I & Claim, O>, input: I): Promise<O>;
  isOver(): boolean;
  /** Remembers work that may go on after its step was given up. */
  track(work: Promise<unknown>): void;
}
