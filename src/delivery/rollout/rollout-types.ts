import type { DeliveryDeps, ShadowPairs, VariantCounts } from '../delivery-deps.ts';
import type { Comparison } from '../judge/judge-input.ts';
import type { JudgeQueue } from '../judge/judge-queue.ts';
import type { Judge } from '../judge/run-judge.ts';
import type { Outcome, Verdict } from '../promotion/decision-store.ts';
import type { Assessment } from './assess-evidence.ts';
import type { RolloutEffect } from './rollout-commands.ts';
import type { Looks, Rollout, RolloutChange } from './rollout-store.ts';

export interface AdvancerDeps extends Omit<DeliveryDeps, 'judge'> {
  judge: Judge;
  queue: JudgeQueue;
}

/** What a decision about a rollout consists of, before it is written down. */
export interface Transition {
  change: RolloutChange;
  effect: RolloutEffect;
  action: string;
  verdict: Verdict;
  outcome: Outcome;
  summary: string;
  evidence: Record<string, unknown>;
}

/** What is known of a rollout by now; it is stored with it, so that a look is not repeated. */
export interface Evidence {
  [kind: string]: unknown;
  candidate?: VariantCounts;
  champion?: VariantCounts;
  /** Requests of the candidate when the step began. */
  before_step?: number;
  /** What the candidate had done within the hour in which this rollout began, in an earlier one. */
  earlier?: VariantCounts;
  /** What the champion had done within that hour before. */
  earlier_champion?: VariantCounts;
  errors?: Assessment;
  latency?: Assessment;
  /** Both versions scored on every row that was labelled since. */
  labels?: Assessment & { comparison?: unknown };
  /** What a rollout that paused by itself goes on with as soon as it has come, and since when it waits. */
  waits_for?: { what: 'requests' | 'reports'; since: number } | undefined;
  /** Each on the rows that it answered itself: shown, too weak to decide. */
  loss?: Assessment;
  /** How the scores of what it answered lie to the champion's in the same time: shown only. */
  scores?: Assessment;
  disagreement?: Assessment;
}

export interface Gathered {
  evidence: Evidence;
  looks: Looks;
  /** Requests that the candidate answered or saw in this step. */
  inStep: number;
  /** The step is over and the candidate had the requests that it needs. */
  isLast: boolean;
}

export interface LabelledQuestion {
  rollout: Rollout;
  challenger: number;
  champion: number;
  from: number;
  now: number;
  /** Whose alpha a look spends; none is spent by what decides nothing. */
  ledger: string | undefined;
  /** All of it. */
  alpha: number;
  signal: AbortSignal;
}

export interface LabelledJudgement {
  /** Looks at this evidence so far; not raised when there was nothing to look at. */
  k: number | undefined;
  comparison: Comparison | undefined;
  words: string;
  evidence: Record<string, unknown>;
}

export type JudgeLabelled = (asked: LabelledQuestion) => Promise<LabelledJudgement | undefined>;

/** What the labels of a step said. */
export interface LabelLook {
  /** When it was asked for, by the clock. */
  at: number;
  loss: Assessment;
  scores: Assessment | undefined;
  labelled: number;
  judged: LabelledJudgement | undefined;
  shadowPairs: ShadowPairs | undefined;
}
