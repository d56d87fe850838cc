/** The gate's metrics; a difference is always oriented so that positive means: the challenger is better. */
export type PairedMetric = 'log_loss' | 'brier' | 'accuracy' | 'roc_auc' | 'rmse' | 'mae';

/** Both models' answers to the same rows. */
export interface PairedScores {
  task: 'binary' | 'multiclass' | 'regression';
  /** Number of classes; not of a regression. */
  classes?: number;
  /** Class index, or true value, of each row. */
  labels: Int32Array | Float64Array;
  /** `[rows, classes]` probabilities row by row, or `[rows]` values. */
  champion: Float32Array | Float64Array;
  challenger: Float32Array | Float64Array;
  /** Which rows go together (a day, an entity): any number that rows of one cluster share. */
  clusters: Int32Array;
}

/** Rows' clusters as 0 … count − 1, in the order in which they occur. */
export interface ClusterIndex {
  of: Int32Array;
  count: number;
}

export function indexClusters(clusters: Int32Array): ClusterIndex {
  const numbers = new Map<number, number>();
  const of = clusters.map((cluster) => {
    let number = numbers.get(cluster);
    if (number === undefined) {
      number = numbers.size;
      numbers.set(cluster, number);
    }
    return number;
  });
  return { of, count: numbers.size };
}

/**
 * A metric of both models as a function of how often each cluster is taken: what bootstrap and jackknife need.
 * `difference` is NaN where the metric is not defined on what is taken.
 */
export interface PairedStatistic {
  champion: number;
  challenger: number;
  difference: (weights: Float64Array) => number;
  /** The difference within each cluster alone; NaN where the metric is not defined there. */
  byCluster: Float64Array;
}
