import type { Clock, Database, Logger } from '../../platform/index.ts';
import type { ModelVersion } from '../../registry/index.ts';
import { testPerformance } from '../../statistics/index.ts';
import type { Alarm, Span } from '../alarms/alarm.ts';
import { addPerformance } from '../drift-commands.ts';
import { type MonitorPolicy, type PerformanceMetric, policyTimes, windowRule } from '../monitor-policy.ts';
import { explainBySegments, type QueryLog } from './explain-segments.ts';
import { GRACE_MS } from './find-due-window.ts';
import type { WatchedTest } from './sequence-store.ts';
import {
  createWindowStore,
  type MonitorWindow,
  type PerformanceState,
  type WindowPerformance,
} from './window-store.ts';

/** How a version did on the labelled rows of a span, as the prediction log knows it. */
export interface MeasuredWindow extends Span {
  rows: number;
  labelled: number;
  value: number | undefined;
  /** Mean log loss, or squared error. */
  loss: number | undefined;
  /** The same of always saying the window's own base rate, or mean. */
  baseline: number | undefined;
  /** So many of the labelled rows `value` is of, when it is not of all. */
  sampled?: number;
}

export type MeasureWindows = (request: {
  model: string;
  version: string;
  metric: string;
  windows: Span[];
}) => Promise<MeasuredWindow[]>;

export interface PerformanceDeps {
  database: Database;
  clock: Clock;
  logger: Logger;
  /** Asks the prediction log, to take a change apart by segments. */
  query?: QueryLog;
  measureWindows: MeasureWindows;
  /** What the version reached on its evaluation set's own days, window by window. */
  baselineOf: (version: ModelVersion, metric: PerformanceMetric, policy: MonitorPolicy) => Promise<number[]>;
}

/** A window's performance is compared with so many at least. */
export const REFERENCE_WINDOWS = 10;
/** Below so many labelled rows, or this share of what the reference windows had, a metric is mostly noise. */
const LEAST_LABELLED = 50;
const LEAST_SHARE = 0.5;
const AT_ONCE = 50;
const WHOLE_COVERAGE = 0.9;
/** A change that is not less likely than this is not taken apart. */
const EXPLAINED_P = 0.01;

export function metricOf(version: ModelVersion, policy: MonitorPolicy): PerformanceMetric {
  if (policy.performance.metric !== undefined) return policy.performance.metric;
  if (version.task === 'regression') return 'rmse';
  return version.task === 'multiclass' ? 'log_loss' : 'roc_auc';
}

/** Else it is compared as skill. */
export const isMetricItself = (metric: string): boolean => metric === 'roc_auc' || metric === 'accuracy';

/**
 * What is compared from window to window, larger being better. A raw loss says as much about the day as about the
 * model, so it becomes skill: what is left of the loss of always saying the window's own base rate.
 */
export function skillOf(metric: PerformanceMetric, measured: MeasuredWindow): number | undefined {
  if (isMetricItself(metric)) return measured.value;
  const { loss, baseline } = measured;
  return loss === undefined || baseline === undefined || !(baseline > 0) ? undefined : 1 - loss / baseline;
}

export interface PerformanceOutcome {
  window: MonitorWindow;
  state: PerformanceState;
  performance: WindowPerformance;
  opened: Alarm[];
  closed: Alarm[];
}

/**
 * Measures the windows whose labels have come, oldest first, each in one transaction with what it does to the alarm.
 *
 * @param champion the version that serves: only its windows can raise an alarm
 * @returns what was measured, and when the next window is due
 */
export async function measureDueWindows(
  deps: PerformanceDeps,
  champion: ModelVersion,
  policy: MonitorPolicy,
): Promise<{ done: PerformanceOutcome[]; dueAt: number | undefined }> {
  const { database, clock } = deps;
  const store = createWindowStore(database.reader);
  const model = champion.name;
  const { labelDelayMs } = policyTimes(policy);
  const now = clock.now();
  const waitMs = labelDelayMs + GRACE_MS;
  const pending = await store.withoutPerformance(model, AT_ONCE);
  const due = pending.filter(({ to }) => to + waitMs <= now);
  const next = pending[due.length];
  const dueAt = next === undefined ? undefined : next.to + waitMs;
  const done: PerformanceOutcome[] = [];
  const metric = metricOf(champion, policy);
  for (const [version, windows] of Map.groupBy(due, (window) => window.version)) {
    const measured = await deps.measureWindows({
      model,
      version,
      metric,
      windows: windows.map(({ from, to }) => ({ from, to })),
    });
    const isChampion = version === String(champion.version);
    const baseline = isChampion ? await deps.baselineOf(champion, metric, policy) : [];
    for (const [index, window] of windows.entries()) {
      const found = measured[index];
      if (found === undefined)
        throw new Error(`Of ${windows.length} windows ${measured.length} were measured`);
      const judged = isChampion
        ? await judgeWindow(deps, { champion, metric, policy, window, found, baseline })
        : justMeasured({ metric, policy, found }, 'another version serves by now');
      const outcome = await database.execute(addPerformance, {
        model,
        version,
        from: window.from,
        to: window.to,
        state: judged.state,
        performance: judged.performance,
        watched: { tests: judged.watched, testCount: 1, webhooks: policy.webhooks },
        now,
      });
      const { opened, closed } = outcome;
      done.push({ window, state: judged.state, performance: judged.performance, opened, closed });
    }
  }
  // What was due beyond the first fifty is due at once.
  return { done, dueAt: due.length === AT_ONCE ? now : dueAt };
}

interface JudgedWindow {
  state: PerformanceState;
  performance: WindowPerformance;
  watched: WatchedTest[];
}

const sampleWords = ({ sampled, labelled }: MeasuredWindow): string =>
  sampled === undefined
    ? ''
    : `; of ${sampled.toLocaleString('en-US')} of ${labelled.toLocaleString('en-US')} labelled rows`;

/** A part of the labels may be another kind of rows: bad news often comes first. */
const coverageWords = ({ rows, labelled }: MeasuredWindow): string =>
  labelled >= WHOLE_COVERAGE * rows
    ? ''
    : `; ${Math.floor((100 * labelled) / rows)} % of its rows have a label yet`;

const fewestLabels = (policy: MonitorPolicy): number =>
  Math.min(LEAST_LABELLED, LEAST_SHARE * policy.window.rows);

const tooFewWords = ({ labelled, rows }: MeasuredWindow, least: number): string =>
  `${labelled} of ${rows} rows have a label; ${Math.ceil(least)} are needed`;

function justMeasured(
  { metric, policy, found }: { metric: PerformanceMetric; policy: MonitorPolicy; found: MeasuredWindow },
  why: string,
): JudgedWindow {
  const skill = skillOf(metric, found);
  const { rows, labelled, value } = found;
  const least = fewestLabels(policy);
  const isFew = labelled < least;
  return {
    state: isFew ? 'too few labels' : skill === undefined ? 'not measurable' : 'tested',
    performance: {
      metric,
      rows,
      labelled,
      ...(value === undefined ? {} : { value }),
      ...(skill === undefined ? {} : { skill }),
      note: isFew ? tooFewWords(found, least) : `${why}, so that this raises no alarm${sampleWords(found)}`,
    },
    watched: [],
  };
}

async function judgeWindow(
  deps: PerformanceDeps,
  input: {
    champion: ModelVersion;
    metric: PerformanceMetric;
    policy: MonitorPolicy;
    window: MonitorWindow;
    found: MeasuredWindow;
    baseline: number[];
  },
): Promise<JudgedWindow> {
  const { metric, policy, window, found, baseline } = input;
  const rule = windowRule(policy);
  if ((window.windowRule ?? rule) !== rule)
    return justMeasured({ metric, policy, found }, 'its window was made by another policy');
  if (window.state === 'partial')
    return justMeasured({ metric, policy, found }, 'the version answered a part of the window');
  const { rows, labelled, value } = found;
  const skill = skillOf(metric, found);
  const base: WindowPerformance = {
    metric,
    rows,
    labelled,
    ...(value === undefined ? {} : { value }),
    ...(skill === undefined ? {} : { skill }),
  };
  const without = (state: PerformanceState, note: string): JudgedWindow => ({
    state,
    performance: { ...base, note },
    watched: [],
  });
  const references = await createWindowStore(deps.database.reader).references(window.model, window.version);
  // Another metric has another level, and windows of another length vary otherwise.
  const own = references.flatMap(({ performance: each, windowRule: madeBy = rule }) =>
    each?.metric === metric && madeBy === rule ? [each] : [],
  );
  const usual = medianOf(own.map(({ labelled: count }) => count));
  const least = Math.max(fewestLabels(policy), usual === undefined ? 0 : LEAST_SHARE * usual);
  if (labelled < least) return without('too few labels', tooFewWords(found, least));
  if (skill === undefined) return without('not measurable', `${metric} cannot be computed from these labels`);
  const reference = [...baseline, ...own.flatMap((each) => (each.skill === undefined ? [] : [each.skill]))];
  if (reference.length < REFERENCE_WINDOWS) {
    return without(
      'reference',
      `one of the ${REFERENCE_WINDOWS} windows that later ones are compared with (${baseline.length} of them are of the evaluation set)`,
    );
  }
  const { p, mean, sd, k } = testPerformance(reference, skill);
  const segments = p <= EXPLAINED_P ? await takeApart(deps, input) : {};
  const words = `${metric}${isMetricItself(metric) ? '' : ' as skill'} ${skill.toFixed(3)}, before ${mean.toFixed(3)} ± ${sd.toFixed(3)} over ${k} windows${sampleWords(found)}${coverageWords(found)}`;
  return {
    state: 'tested',
    performance: { ...base, p, referenceMean: mean, referenceSd: sd, referenceWindows: k },
    watched: [
      {
        column: '',
        aspect: 'performance',
        p,
        evidence: {
          metric,
          value: value ?? null,
          skill,
          p,
          reference: { mean, sd, windows: k, of_evaluation_set: baseline.length },
          rows,
          labelled,
          words,
          ...segments,
        },
      },
    ],
  };
}

/** Where the change comes from, by the columns that the policy names; said when it names none. */
async function takeApart(
  { database, logger, query }: PerformanceDeps,
  { champion, policy, window }: { champion: ModelVersion; policy: MonitorPolicy; window: MonitorWindow },
): Promise<Record<string, unknown>> {
  if (policy.segments.length === 0)
    return { segments: 'none are configured: monitor.segments names columns' };
  if (query === undefined) return {};
  const earlier = await createWindowStore(database.reader).list(window.model, {
    to: window.from,
    version: window.version,
    limit: REFERENCE_WINDOWS,
  });
  const first = earlier.at(-1);
  if (first === undefined) return { segments: 'this is the first window of the version' };
  const bySegment = await explainBySegments(
    query,
    {
      model: window.model,
      version: window.version,
      task: champion.task,
      columns: policy.segments,
      before: { from: first.from, to: window.from },
      now: { from: window.from, to: window.to },
    },
    logger,
  );
  return { segments: bySegment };
}

function medianOf(values: number[]): number | undefined {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}
