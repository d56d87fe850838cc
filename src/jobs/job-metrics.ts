import type { Metrics } from '../platform/index.ts';

const STEP_BUCKETS = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000, 3000] as const;

export type JobMetrics = ReturnType<typeof createJobMetrics>;

/** Without a registry nothing is counted. */
export function createJobMetrics(metrics: Metrics | undefined, running: () => number) {
  metrics?.gauge({
    name: 'jobs_running',
    help: 'Runs that this process works on.',
    collect: (gauge) => gauge.set(running()),
  });
  const finished = metrics?.counter({
    name: 'jobs_finished_total',
    help: 'Runs that ended in this process, by how.',
    labelNames: ['flow', 'status'],
  });
  const seconds = metrics?.histogram({
    name: 'job_step_seconds',
    help: 'Time that attempts of steps took.',
    labelNames: ['flow', 'step', 'outcome'],
    buckets: STEP_BUCKETS,
  });
  return {
    finished(flow: string, status: string): void {
      finished?.inc({ flow, status });
    },
    stepEnded(flow: string, step: string, outcome: string, workMs: number): void {
      seconds?.observe({ flow, step, outcome }, workMs / 1000);
    },
  };
}
