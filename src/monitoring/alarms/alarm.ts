/** A time span of events, half-open, in milliseconds since the epoch. */
export interface Span {
  from: number;
  to: number;
}

/** Something that differs more than chance and the reference's own days explain; kept until it is quiet again. */
export interface Alarm {
  id: number;
  model: string;
  version: string;
  kind: 'drift' | 'performance';
  /** The column that moved, or `@score`, `@class`; none for performance. */
  column?: string;
  /** Which test of the column: its values, the rate of missing or of unseen values. */
  aspect?: TestAspect;
  /** Event time. */
  openedAt: number;
  window: Span;
  evidence: Record<string, unknown>;
  state: 'open' | 'closed';
  closedAt?: number;
  closedBy?: string;
  closeReason?: string;
  acknowledgedAt?: number;
  acknowledgedBy?: string;
  acknowledgeReason?: string;
}

export type TestAspect = 'values' | 'missing' | 'unseen';
