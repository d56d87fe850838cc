import type { Kysely } from 'kysely';

/** The tables of this slice. Times are milliseconds since the epoch, by the platform's clock. */
export interface DeliveryTables {
  /** Every look at a set of rows, so that each spends its part of alpha. */
  gate_looks: {
    model: string;
    /** What was looked at: the sha256 of an evaluation set, or the watch of a rollout. */
    evaluation: string;
    k: number;
    /** What was asked of it; the same question again is the same look. */
    question: string;
    at: number;
  };
  decisions: {
    /** The sequence of its entry in the audit. */
    id: number;
    model: string;
    at: number;
    kind: string;
    action: string;
    version: number;
    champion: number | null;
    verdict: string;
    outcome: string;
    summary: string;
    actor: string;
    reason: string | null;
    evidence: string;
    rollout_id: string | null;
    key: string | null;
  };
  /** What each promotion that was watched brought, against its predecessor on the same labelled rows. */
  delivery_gains: {
    rollout_id: string;
    model: string;
    version: number;
    predecessor: number;
    from_at: number;
    until_at: number | null;
    metric: string | null;
    /** Positive when the version is better. */
    difference: number | null;
    lo: number | null;
    hi: number | null;
    alpha: number | null;
    rows_labelled: number;
    measured_at: number | null;
    /** When the watch ends, or would have ended: labels that come later do not count. */
    settle_at: number;
    is_final: number;
    note: string | null;
  };
  rollouts: {
    id: string;
    model: string;
    candidate: number;
    champion: number;
    /** The model's last move when the rollout began, or the one that it made; another one since ends the rollout. */
    champion_revision: number | null;
    state: string;
    /** The state that a paused rollout goes on in. */
    resume_state: string | null;
    step: number;
    /** Percent of the requests that the candidate sees or answers now. */
    weight: number;
    gate: string;
    policy: string;
    looks: string;
    evidence: string | null;
    note: string | null;
    actor: string;
    reason: string | null;
    started_at: number;
    step_started_at: number;
    promoted_at: number | null;
    ended_at: number | null;
    looked_at: number | null;
    /** Rises with every change: a change that was decided on an older one is refused. */
    epoch: number;
  };
}

export type DeliveryDb = Kysely<DeliveryTables>;

export const ROLLOUT_STATES = [
  'shadow',
  'canary',
  'paused',
  'watching',
  'done',
  'undone',
  'aborted',
] as const;
export type RolloutState = (typeof ROLLOUT_STATES)[number];

/** States in which a candidate waits for its place: one rollout of a model at a time is in one of them. */
export const UNDER_WAY: readonly RolloutState[] = ['shadow', 'canary', 'paused'];
