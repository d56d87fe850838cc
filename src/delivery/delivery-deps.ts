import type { LabelledRequest } from '../monitoring/index.ts';
import type { Clock, Database, Logger } from '../platform/index.ts';
import type { ModelFiles, ServingSignal } from '../registry/index.ts';
import type { Variant } from '../serving/contract.ts';
import type { PolicyOf } from './delivery-policy.ts';
import type { Judge } from './judge/run-judge.ts';

/** What a version did in one part between two times. */
export interface VariantCounts {
  /** Predicted rows. */
  answered: number;
  /** Requests that ended in a 5xx. */
  failed: number;
  /** Counts of run times by LATENCY_EDGES_MS, the last one over. */
  latency: readonly number[];
}

/** What the prediction log tells of a rollout; the log of monitoring/ is one. */
export interface RolloutLog {
  /**
   * Labelled rows as Parquet: the columns, the target and `__time`; one row per prediction id. Of more than `maxRows` a sample:
   * `of` says how many there are.
   */
  exportLabelled(request: LabelledRequest): Promise<{
    rows: number;
    of?: number | undefined;
    digest: string;
    from?: number | undefined;
    to?: number | undefined;
  }>;

  /** The loss of champion and candidate by window of event time, and in shadow their answers to the same requests. */
  compareVariants(request: {
    model: string;
    from: number;
    to: number;
    windowMs: number;
    champion: string;
    candidate: string;
  }): Promise<{
    windows: { from: number; to: number; champion: VariantLoss; candidate: VariantLoss }[];
    shadowPairs?: ShadowPairs | undefined;
    /** Of what each answered itself. */
    scores?: { champion: ScoreCounts; candidate: ScoreCounts } | undefined;
  }>;
}

/** Scores counted in bins at the deciles of the champion's. */
export interface ScoreCounts {
  rows: number;
  mean?: number | undefined;
  bins: readonly number[];
}

/** Both versions' answers to the same requests. */
export interface ShadowPairs {
  rows: number;
  disagree: number;
  meanAbsoluteDifference: number;
  windows?: {
    rows: number;
    labelled: number;
    championLoss?: number | undefined;
    candidateLoss?: number | undefined;
  }[];
}

export interface VariantLoss {
  rows: number;
  labelled: number;
  meanLoss?: number | undefined;
}

export interface DeliveryDeps {
  database: Database;
  clock: Clock;
  files: ModelFiles;
  /** Told after every change of what serves. */
  moved: ServingSignal;
  /** How versions are judged; by a process that is kept for the next judgement unless told otherwise. */
  judge?: Judge;
  /** What a project says of a model; without it the defaults hold. */
  policyOf?: PolicyOf | undefined;
  log?: RolloutLog | undefined;
  /** What each version of a model did in each part, in a span of time. */
  variantCounts?:
    | ((asked: {
        model: string;
        from: number;
        to: number;
      }) => Promise<readonly (VariantCounts & { version: string; variant: Variant })[]>)
    | undefined;
  /**
   * When a model server reported last. A step passes only on a report that came after its end: what its requests met while
   * the control plane was away is told when both are back. Without it the clock's word is enough.
   */
  reportedAt?: (() => Promise<number | undefined>) | undefined;
  /**
   * The clock moves by what is reported alone, often by days at once: a step's end needs no further report then, and few
   * requests are no reason to pause before one was received when the cap had passed.
   */
  isClockOfEvents?: boolean | undefined;
  /** Told when something that went on in the background has ended, so that `advance` finds it. */
  onChange?: (() => void) | undefined;
  logger?: Logger | undefined;
  /** For the labelled rows of a watch, while they are judged. */
  workFolder?: string | undefined;
}
