import type { Answered } from './measure-answers.ts';

/** Ways of retraining that can be compared. */
export const BACKTEST_POLICIES = ['never', 'weekly', 'drift', 'performance', 'project'] as const;
export type BacktestPolicy = (typeof BACKTEST_POLICIES)[number];

export interface BacktestEvent {
  at: number;
  kind: 'alarm' | 'promoted' | 'rejected' | 'failed' | 'held back';
  /** What moved, which verdict, why. */
  what: string;
  cause?: string;
}

export interface SimulatedPolicy {
  policy: BacktestPolicy;
  /** Of each row of a lived window, by the model that served then. */
  answered: Answered;
  events: BacktestEvent[];
  retrainings: number;
  promoted: number;
  rejected: number;
  failed: number;
  /** Alarms that little could be won by, while they were open. */
  heldBack: number;
  alarms: { drift: number; performance: number };
  /** Why windows could raise no alarm, in words: without them no alarms would look like nothing to find. */
  notWatched: string[];
}
