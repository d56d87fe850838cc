import { z } from 'zod';
import { DURATION_RIGHT, parseDuration } from '../platform/index.ts';

const HOUR_MS = 3_600_000;

/** Kept as it was written, so that a policy that was read can be read again. */
const duration = (fallback: string) =>
  z
    .string()
    .refine((text) => parseDuration(text) !== undefined, `must be ${DURATION_RIGHT}`)
    .default(fallback);

const every = duration('1d').refine((text) => {
  const ms = parseDuration(text);
  return ms !== undefined && ms >= HOUR_MS && ms % HOUR_MS === 0;
}, 'must be whole hours, since profiles are kept by the hour');

/** Metrics that the performance by window can be told in. */
export const PERFORMANCE_METRICS = ['roc_auc', 'log_loss', 'brier', 'accuracy', 'rmse', 'mae'] as const;
export type PerformanceMetric = (typeof PERFORMANCE_METRICS)[number];

/** How a model is watched: the key `monitor` of the project file, with every default. */
export const monitorPolicySchema = z.strictObject({
  drift: z
    .enum(['robust', 'off'])
    .default('robust')
    .describe(
      'robust: the window is compared with the reference, whose own days may differ; off: no drift test',
    ),
  window: z
    .strictObject({
      every: every.describe('A window is so long at least, in UTC'),
      rows: z
        .int()
        .min(10)
        .max(10_000_000)
        .default(500)
        .describe(
          'And holds so many rows, or goes on, 31 times as long at most; under 200 rows drift is not tested',
        ),
    })
    .prefault({}),
  labels: z
    .strictObject({
      delay: duration('1d').describe('So long after the prediction most labels have come'),
    })
    .prefault({}),
  performance: z
    .strictObject({
      metric: z
        .enum(PERFORMANCE_METRICS)
        .optional()
        .describe('Default: roc_auc for two classes, log_loss for more, rmse for values'),
    })
    .prefault({}),
  segments: z
    .array(z.string().min(1))
    .max(8)
    .default([])
    .describe(
      'Columns of texts or booleans, within whose values drift is told too, and by which a change of performance is taken apart',
    ),
  webhooks: z
    .array(
      z.strictObject({
        url: z.url({ protocol: /^https?$/ }),
        form: z.enum(['json', 'slack']).default('json'),
      }),
    )
    .max(8)
    .default([])
    .describe('Where alarms are told'),
});

export type MonitorPolicy = z.infer<typeof monitorPolicySchema>;

/** What a model is watched by that no project file speaks of. */
export const DEFAULT_MONITOR_POLICY: MonitorPolicy = monitorPolicySchema.parse({});

/** How long its windows are: what was measured over windows of another length varies otherwise. */
export function windowRule(policy: MonitorPolicy): string {
  return `${policyTimes(policy).everyMs} ms, ${policy.window.rows} rows`;
}

/** The durations of a policy in milliseconds. */
export function policyTimes(policy: MonitorPolicy): { everyMs: number; labelDelayMs: number } {
  return {
    everyMs: parseDuration(policy.window.every) ?? 24 * HOUR_MS,
    labelDelayMs: parseDuration(policy.labels.delay) ?? 24 * HOUR_MS,
  };
}
