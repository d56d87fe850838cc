export interface TrainingProgress {
  iteration: number;
  total: number;
  /** What `value` is, such as 'validation_log_loss'. */
  metric: string;
  value: number;
  elapsedMs: number;
}

export type ProgressListener = (progress: TrainingProgress) => void;
