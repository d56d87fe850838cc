import type { GateMetric } from '../delivery-policy.ts';
import type { ClusterBy } from './cluster-rows.ts';

/** What is asked about two models and a set of rows. */
export interface GateQuestion {
  /** Left out: log_loss for classes, rmse for values. */
  metric?: GateMetric | undefined;
  /** This look's own part of alpha. */
  alpha: number;
  /** In the metric's unit; left out: a share of the champion's metric. */
  margin?: number | undefined;
  atLeast?: number | undefined;
  slices: readonly string[];
  cluster?: 'day' | 'entity' | 'row' | undefined;
  /** So many blocks of consecutive rows instead of days. */
  blocks?: number | undefined;
  /** An interval at this alpha is shown beside the one that decides. */
  shownAlpha?: number | undefined;
}

/** Files on this machine, so that a child process can read them. */
export interface JudgeInput {
  challengerPath: string;
  /** What the registry recorded of the file; not checked when left out. */
  challengerSha256?: string | undefined;
  /** Left out when nothing serves yet. */
  championPath?: string | undefined;
  championSha256?: string | undefined;
  /** Rows with the target that neither model has seen; left out when none were recorded. */
  heldOut?: { path: string; sha256: string };
  question?: GateQuestion;
}

/** What is asked where nobody asks otherwise. */
export const DEFAULT_QUESTION: GateQuestion = { alpha: 0.05, slices: [] };

/** Champion and challenger on the same rows, with the interval of their paired difference. */
export interface Comparison {
  metric: GateMetric;
  verdict: 'better' | 'non-inferior' | 'worse' | 'inconclusive';
  challenger: number;
  champion: number;
  /** By how much the challenger is better, in the metric's unit; negative is worse. */
  estimate: number;
  /** The interval of the estimate, one-sided alpha at each end. */
  lo: number;
  hi: number;
  alpha: number;
  margin: number;
  marginFrom: 'policy' | 'default';
  method: string;
  rows: number;
  clusters: number;
  clusteredBy: ClusterBy;
  /** At an alpha that the question asked to be shown, which decides nothing. */
  shownInterval?: { alpha: number; lo: number; hi: number };
  /** How many more of each would probably decide; only when inconclusive. */
  moreClusters?: number;
  moreRows?: number;
  /** Tests that take rows as independent: shown, never deciding. */
  shown?: {
    mcnemar?: { onlyChampionRight: number; onlyChallengerRight: number; p: number };
    delong?: { challenger: number; champion: number; p: number };
  };
}

export interface SliceResult {
  column: string;
  value: string;
  rows: number;
  clusters: number;
  result: 'worse' | 'not shown worse' | 'too small to judge';
  estimate?: number;
  lo?: number;
  hi?: number;
  alpha?: number;
}

export interface Check {
  name:
    | 'example'
    | 'reproducibility'
    | 'schema'
    | 'latency'
    | 'memory'
    | 'leakage'
    | 'atLeast'
    | 'slices'
    | 'calibration';
  /** `blocked` stops a promotion that is not forced; `unknown` says that it could not be looked at. */
  state: 'passed' | 'warning' | 'blocked' | 'unknown';
  words: string;
}

type Metrics = Record<string, number | null>;

export interface Judgement {
  /** Why the challenger must not serve at all, whatever anybody says. */
  broken?: string;
  example: 'reproduced' | 'none recorded';
  /** Why champion and challenger could not be compared. */
  incomparable?: string;
  comparison?: Comparison;
  metrics?: { challenger: Metrics; champion?: Metrics };
  heldOut?: { sha256: string; rows: number; leftOut: number; from?: number; to?: number };
  slices?: SliceResult[];
  checks: Check[];
  /** What a reader should know of the evaluation. */
  notes: string[];
}
