import type { Clock } from '../platform/index.ts';
import type { TrainingProgress } from './progress.ts';

/** One value of a metric, as tracking keeps it. */
export interface MetricPoint {
  key: string;
  value: number;
  step: number;
  timestamp: number;
}

const POINTS_PER_BATCH = 100;

/**
 * Sends the course of a training while it runs, without making it wait: batches go one after the other. A failure
 * shows at `flush`.
 */
export function recordSteps(logMetrics: (points: MetricPoint[]) => Promise<void>, clock: Clock) {
  let points: MetricPoint[] = [];
  let sending: Promise<void> = Promise.resolve();
  const send = (): void => {
    const batch = points;
    points = [];
    sending = sending.then(() => logMetrics(batch));
    // Awaited in `flush`; a rejection in between is not unhandled.
    sending.catch(() => {});
  };
  return {
    add({ metric, value, iteration }: TrainingProgress): void {
      points.push({ key: metric, value, step: iteration, timestamp: clock.now() });
      if (points.length >= POINTS_PER_BATCH) send();
    },
    /** Sends what is left and waits for everything that was sent. */
    async flush(): Promise<void> {
      if (points.length > 0) send();
      await sending;
    },
  };
}
