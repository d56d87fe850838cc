/** What was counted of one column. Its rows are `count + missing + nonFinite`. */
export interface ColumnCounts {
  /** Numeric: `[under, bin 0 …, over]`, `edges.length + 3` of them; categorical: `[category 0 …, other]`. */
  readonly bins: Float64Array;
  missing: number;
  /** Infinities; only in numeric columns. */
  nonFinite: number;
  /** Values that the reference never had; only in categorical columns. */
  unseen: number;
  /** Values outside the dictionary, by hash; empty in numeric columns. */
  readonly unseenValues: Float64Array;
  /** Rows with a value: finite numbers, or texts, unseen ones too. */
  count: number;
  /** Mean of the finite numbers; NaN without any, and in categorical columns. */
  readonly mean: number;
  /** Sum of squared distances from the mean. */
  readonly m2: number;
}
