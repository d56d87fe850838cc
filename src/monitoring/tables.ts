import type { Kysely } from 'kysely';

/** The tables of windows, alarms and what profiles are reported, as the stores see them. Times are ms since the epoch. */
export interface DriftTables {
  profile_entries: {
    model: string;
    hour: number;
    segment: string;
    version: string;
    variant: string;
    replica: string;
    incarnation: string;
    part: number;
    answered: number;
    failed: number;
    latency: string;
    profile: string | null;
  };
  profile_reporters: {
    replica: string;
    incarnation: string;
    watermark: number | null;
    dropped: number;
    received_at: number;
  };
  monitor_windows: {
    model: string;
    from_ms: number;
    to_ms: number;
    version: string;
    row_count: number;
    state: string;
    note: string | null;
    tests: string | null;
    closed_at: number;
    late_rows: number;
    performance_state: string | null;
    performance: string | null;
    performance_at: number | null;
    /** What differs within segments, as the report has it. */
    segments: string | null;
    window_rule: string | null;
  };
  monitor_sequences: {
    model: string;
    kind: string;
    column_name: string;
    aspect: string;
    version: string;
    /** NULL stands for the logarithm of 0. */
    log_m: number | null;
    runs: number;
    quiet: number;
    alarm_id: number | null;
  };
  monitor_alarms: {
    id: number;
    model: string;
    version: string;
    kind: string;
    column_name: string;
    aspect: string;
    opened_at: number;
    from_ms: number;
    to_ms: number;
    evidence: string;
    state: string;
    closed_at: number | null;
    closed_by: string | null;
    close_reason: string | null;
    acknowledged_at: number | null;
    acknowledged_by: string | null;
    acknowledge_reason: string | null;
  };
  monitor_alarm_counter: { only_row: number; last_id: number };
  /** Messages to webhooks that are to be delivered, and those that were or were given up. */
  monitor_outbox: {
    id: string;
    alarm_id: number;
    url: string;
    form: string;
    body: string;
    attempts: number;
    next_at: number;
    state: string;
    last_error: string | null;
  };
  /** Performance of a version on the days of its own evaluation set. */
  monitor_baselines: {
    model: string;
    version: string;
    metric: string;
    windows: string;
    /** How long its windows are: those of another length are computed anew. */
    window_rule: string;
  };
}

export type DriftDb = Kysely<DriftTables>;
