import type { Metrics } from '../platform/index.ts';

const BATCH_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
const INFERENCE_BUCKETS = [
  0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1,
];

/** What is told of a warm version at each scrape. */
export interface WarmVersion {
  name: string;
  version: string;
  role: 'champion' | 'candidate' | 'previous';
  depth: number;
  loadSeconds: number;
  memoryBytes: number;
}

/** The model server's own metrics; HTTP's come with the app. `warmVersions` is asked at the scrape. */
export function createServingMetrics(
  metrics: Metrics,
  warmVersions: () => WarmVersion[],
  unshippedBytes: () => number,
  ignoredEvents: () => number = () => 0,
) {
  const byModel = ['model', 'version'] as const;

  function perVersion(name: string, help: string, value: (of: WarmVersion) => number): void {
    metrics.gauge({
      name,
      help,
      labelNames: byModel,
      collect(gauge) {
        gauge.reset();
        for (const warm of warmVersions())
          gauge.set({ model: warm.name, version: warm.version }, value(warm));
      },
    });
  }

  perVersion('inference_queue_depth', 'Rows that wait for a run.', ({ depth }) => depth);
  perVersion(
    'model_load_seconds',
    'Time from the start of the load to warm, in seconds.',
    (of) => of.loadSeconds,
  );
  perVersion(
    'model_memory_bytes',
    'Growth of resident memory while the version was measured.',
    (of) => of.memoryBytes,
  );
  metrics.gauge({
    name: 'prediction_log_unshipped_bytes',
    help: 'Bytes of the log that the control plane has not got yet.',
    collect: (gauge) => gauge.set(unshippedBytes()),
  });
  metrics.gauge({
    name: 'events_too_far_ahead',
    help: 'Event times so far ahead of all others that a clock of events did not follow them, since the start.',
    collect: (gauge) => gauge.set(ignoredEvents()),
  });
  metrics.gauge({
    name: 'model_loaded',
    help: '1 for each version that is warm; the role says whether it answers by default.',
    labelNames: ['model', 'version', 'role'],
    collect(gauge) {
      gauge.reset();
      for (const { name, version, role } of warmVersions()) gauge.set({ model: name, version, role }, 1);
    },
  });

  return {
    inferenceSeconds: metrics.histogram({
      name: 'model_inference_seconds',
      help: 'Time of a run of the model, one for each batch, in seconds.',
      labelNames: ['model', 'version', 'variant'],
      buckets: INFERENCE_BUCKETS,
    }),
    batchRows: metrics.histogram({
      name: 'inference_batch_rows',
      help: 'Rows of a batch.',
      labelNames: byModel,
      buckets: BATCH_BUCKETS,
    }),
    predictions: metrics.counter({
      name: 'predictions_total',
      help: 'Rows predicted, by class; the class is empty for a regression.',
      labelNames: ['model', 'version', 'predicted_class'],
    }),
    unseenCategories: metrics.counter({
      name: 'model_unseen_categories_total',
      help: 'Text values that the model was not trained on.',
      labelNames: ['model', 'version', 'column'],
    }),
    unsegmentedRows: metrics.counter({
      name: 'profile_rows_without_segment_total',
      help: 'Rows that no segment of the column counts: its hour has 20 values already, or the value is too long.',
      labelNames: ['model', 'version', 'column'],
    }),
    unprofiledRows: metrics.counter({
      name: 'profile_rows_dropped_total',
      help: 'Rows that are in no profile: their times are spread over more hours than may be open at once.',
      labelNames: byModel,
    }),
    canaryFallbacks: metrics.counter({
      name: 'canary_fallbacks_total',
      help: 'Requests that a canary failed at and the champion answered.',
      labelNames: byModel,
    }),
    shadowDropped: metrics.counter({
      name: 'shadow_dropped_total',
      help: 'Rows that a shadow did not see, because it was busy.',
      labelNames: byModel,
    }),
    logDropped: metrics.counter({
      name: 'prediction_log_dropped_total',
      help: 'Predictions that were answered but not logged: the disk was full or could not follow.',
    }),
    logRefused: metrics.counter({
      name: 'prediction_log_refused_total',
      help: 'Segments and reports of profiles that the control plane refused for good.',
      labelNames: ['kind'],
    }),
    feedback: metrics.counter({
      name: 'feedback_total',
      help: 'Labels that were taken.',
      labelNames: ['model'],
    }),
    loadFailures: metrics.counter({
      name: 'model_load_failures_total',
      help: 'Loads that failed; the version that served before serves on.',
      labelNames: byModel,
    }),
  };
}

export type ServingMetrics = ReturnType<typeof createServingMetrics>;
