import { LEAST_DAY_VARIANCE } from '../statistics/index.ts';
import { WATCHED_WINDOWS } from './drift/prepare-reference.ts';
import { AVERAGE_RUN_LENGTH, QUIET_P, QUIET_WINDOWS } from './drift/watch-tests.ts';
import { DEFAULT_MONITOR_POLICY, type MonitorPolicy } from './monitor-policy.ts';
import { GRACE_MS, LEAST_ROWS, MOST_SPANS } from './windows/find-due-window.ts';
import { isMetricItself, REFERENCE_WINDOWS } from './windows/measure-performance.ts';
import type { WindowPerformance } from './windows/window-store.ts';

/** One thing that decides about a model: what it is now, and by which formula. */
export interface MonitoringExplanation {
  what: string;
  value: string;
  /** No project says otherwise. */
  isDefault: boolean;
  formula: string;
  /** The key of the project file, or where the rule stands. */
  source: string;
}

/** What the newest tested window of a version was compared with. */
export interface Baseline {
  version: string;
  performance: Pick<WindowPerformance, 'metric' | 'referenceMean' | 'referenceSd' | 'referenceWindows'>;
}

/**
 * Every threshold, default and formula by which a model is watched.
 *
 * @param tests the tests of the champion's windows that can raise an alarm; undefined without a reference
 * @param baseline of the champion's performance; undefined before one of its windows was tested
 */
export function explainMonitoring(
  policy: MonitorPolicy,
  tests: number | undefined,
  baseline: Baseline | undefined,
): MonitoringExplanation[] {
  const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
  const of = (
    key: keyof MonitorPolicy,
    what: string,
    value: string,
    formula: string,
    source = `monitor.${key}`,
  ): MonitoringExplanation => ({
    what,
    value,
    isDefault: same(policy[key], DEFAULT_MONITOR_POLICY[key]),
    formula,
    source,
  });
  const builtIn = (what: string, value: string, formula: string): MonitoringExplanation => ({
    what,
    value,
    isDefault: true,
    formula,
    source: 'built in',
  });
  const { window, labels, performance, segments, webhooks } = policy;
  return [
    of(
      'drift',
      'drift: mode',
      policy.drift,
      'robust: p = P(a·χ²₁ + χ²_{df−1} > x), x the chi-square of homogeneity on 10 bins or the categories, a = 1 + s²·nm/(n+m); the rates of missing and of unseen values are tests of their own',
    ),
    builtIn(
      'drift: day effects s²',
      `${LEAST_DAY_VARIANCE} at least`,
      "2 · mean over the reference's own windows of PSI − df·(1/n + 1/m)",
    ),
    of(
      'window',
      'window: length',
      `${window.every}, and ${window.rows} rows`,
      `in UTC by event time, whichever is later, ${MOST_SPANS} times ${window.every} at most; closed ${GRACE_MS / 3_600_000} h after its end; under ${LEAST_ROWS} rows drift is not tested, nor where the version answered other parts of some hours than of others`,
    ),
    builtIn(
      'alarm: evidence',
      tests === undefined
        ? `M >= tests · ${AVERAGE_RUN_LENGTH}`
        : `M >= ${tests} tests · ${AVERAGE_RUN_LENGTH}`,
      'M <- (M + 1)·e(p), e(p) = (1 − p + p·ln p)/(p·ln²p), for each test: a false alarm in 1,000 windows of the whole data set at most, on average',
    ),
    builtIn(
      'alarm: which columns',
      `${WATCHED_WINDOWS} windows of the reference at least`,
      'a column that the reference knows from fewer is shown and raises no alarm',
    ),
    builtIn(
      'alarm: end',
      `${QUIET_WINDOWS} quiet windows`,
      `in a row with p > ${QUIET_P}; or by hand; or another version serves`,
    ),
    of(
      'labels',
      'labels: delay',
      labels.delay,
      'the performance of a window is measured so long after its end, and an hour',
    ),
    of(
      'performance',
      'performance: metric',
      performance.metric ?? 'roc_auc for two classes, log_loss for more, rmse for values',
      'by the time of prediction; until labels come there is drift alone to go by, which is blind to concept drift; of a loss the skill 1 − loss / loss of always saying the window’s own base rate or mean',
    ),
    builtIn(
      'performance: alarm',
      `${REFERENCE_WINDOWS} reference windows`,
      "p = P(t_{k−1} > (mean − v)/(sd·√(1 + 1/k))) against the windows of the version's evaluation set, then its first labelled ones, of the same metric and length; then the sequence of the alarms, 1 test",
    ),
    builtIn(
      'performance: baseline',
      baseline === undefined ? 'not known yet' : baselineWords(baseline),
      'the mean of those windows: each version is compared with its own level, so that one which learned from mixed or bad days begins low, and no alarm says so; gate.atLeast keeps such a version out, retrain.schedule replaces it when the days are whole again',
    ),
    of(
      'segments',
      'segments',
      segments.length === 0 ? 'none' : segments.join(', '),
      `a performance alarm is taken apart: Σ Δπ·m_ref (another mix) + Σ π·Δm (other behaviour); a window tells which columns differ within each value of ${LEAST_ROWS} rows, against the same rows of the reference, p corrected by Benjamini-Hochberg; it raises no alarm`,
    ),
    of(
      'webhooks',
      'webhooks',
      webhooks.length === 0
        ? 'none'
        : webhooks.map(({ url, form }) => `${form} to ${hostOf(url)}`).join(', '),
      'each alarm when it opens and when it closes; tried again for some 18 hours',
    ),
  ];
}

function baselineWords({ version, performance }: Baseline): string {
  const { metric, referenceMean: mean = Number.NaN, referenceSd: sd = 0, referenceWindows } = performance;
  const unit = isMetricItself(metric) ? metric : `${metric} as skill`;
  return `${unit} ${mean.toFixed(3)} ± ${sd.toFixed(3)} over ${referenceWindows} windows of version ${version}`;
}

/** A webhook's path may be its secret. */
const hostOf = (url: string) => (URL.canParse(url) ? new URL(url).host : 'an invalid URL');
