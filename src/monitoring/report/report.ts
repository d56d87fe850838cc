/** What `drift report` writes as JSON and shows as HTML. Shares are 0 to 1; what is not known is left out. */
export interface DriftReport {
  reference: TableSummary & { windows: number; windows_by: 'day' | 'random chunk' };
  current: TableSummary;
  drift: { found: boolean; columns: string[]; tests: number; false_discovery_rate: number };
  quality: { passed: boolean; failed: number; checks: QualityCheck[] };
  /** Drifted ones first, by effect. */
  columns: ColumnReport[];
  notes: string[];
}

export interface TableSummary {
  file: string;
  rows: number;
  columns: number;
}

export interface ColumnReport {
  name: string;
  kind: 'number' | 'boolean' | 'text' | 'date';
  status: 'drifted' | 'same' | 'not tested';
  /** Why it was not tested. */
  note?: string;
  effect?: number;
  tests: {
    aspect: 'values' | 'missing' | 'unseen';
    p: number;
    psi: number;
    ks?: number;
    rate?: number;
    reference_rate?: number;
    drifted: boolean;
  }[];
  words?: string;
  reference?: ColumnSummary;
  current?: ColumnSummary;
  /** Numbers: bins between `edges` (one more than shares); categories: one share each. */
  histogram?:
    | { kind: 'number'; edges: number[]; reference: number[]; current: number[] }
    | { kind: 'category'; labels: string[]; reference: number[]; current: number[] };
}

export interface ColumnSummary {
  rows: number;
  missing: number;
  /** Of texts. */
  distinct?: number;
  /** Set when they are so many, or so little known, that `distinct` is an estimate. */
  distinct_is_estimate?: true;
  min?: number;
  max?: number;
  mean?: number;
  sd?: number;
}

/** A statement about the current file that the reference makes one expect. */
export interface QualityCheck {
  check:
    | 'rows'
    | 'column is there'
    | 'column is known'
    | 'type'
    | 'missing values'
    | 'range'
    | 'new categories'
    | 'not constant'
    | 'duplicates';
  column?: string;
  passed: boolean;
  detail: string;
}
