import { type GateMetric, rolloutTimes } from '../delivery-policy.ts';
import type { Comparison } from '../judge/judge-input.ts';
import type { Rollout } from '../rollout/rollout-store.ts';

/** What a promotion brought: its version against the one that it took the place of, on the same labelled rows. */
export interface Gain {
  rolloutId: string;
  model: string;
  version: number;
  predecessor: number;
  /** Since then the version serves, ms. */
  from: number;
  /** Rows of event times before it count, ms; undefined while nothing is measured. */
  until: number | undefined;
  metric: GateMetric | undefined;
  /** Positive when the version is better than its predecessor, in the metric's unit. */
  difference: number | undefined;
  /** The interval of the difference, one-sided `alpha` at each end; undefined where there is none. */
  lo: number | undefined;
  hi: number | undefined;
  alpha: number | undefined;
  rows: number;
  measuredAt: number | undefined;
  /** From then on no later label changes it. */
  settleAt: number;
  isFinal: boolean;
  /** Why it is not, or not newly, measured. */
  note: string | undefined;
}

/** The gain of a version that begins to be watched: nothing is known of it yet. */
export function openGain(rollout: Rollout): Gain {
  const { id, model, candidate, champion, promotedAt, startedAt, policy } = rollout;
  const from = promotedAt ?? startedAt;
  return {
    rolloutId: id,
    model,
    version: candidate,
    predecessor: champion,
    from,
    until: undefined,
    metric: undefined,
    difference: undefined,
    lo: undefined,
    hi: undefined,
    alpha: undefined,
    rows: 0,
    measuredAt: undefined,
    settleAt: from + rolloutTimes(policy).watchMs,
    isFinal: false,
    note: undefined,
  };
}

/** What a look at the labels adds to a gain; the look asks whether the predecessor is better, so its signs turn. */
export function measureGain(
  before: Gain,
  {
    judged,
    until,
    at,
    isFinal,
  }: {
    judged: { comparison: Comparison | undefined; words: string } | undefined;
    until: number;
    at: number;
    isFinal: boolean;
  },
): Gain {
  const comparison = judged?.comparison;
  if (comparison === undefined)
    return { ...before, measuredAt: at, isFinal, note: judged?.words ?? 'no labelled rows came' };
  const { metric, estimate, rows, shownInterval: interval = comparison } = comparison;
  return {
    ...before,
    until,
    metric,
    difference: turned(estimate),
    lo: turned(interval.hi),
    hi: turned(interval.lo),
    alpha: interval.alpha,
    rows,
    measuredAt: at,
    isFinal,
    note: undefined,
  };
}

/** Under two clusters there is no interval; and no minus zero. */
const turned = (value: number): number | undefined => (Number.isFinite(value) ? 0 - value : undefined);

/** `log_loss better by 0.012 than version 3's, between 0.004 and 0.02, on 4,000 labelled rows until …, final`. */
export function describeGain({
  metric,
  difference,
  lo,
  hi,
  rows,
  until,
  predecessor,
  isFinal,
  note,
}: Gain): string {
  if (metric === undefined || difference === undefined)
    return isFinal
      ? `not measured: ${note ?? 'no labelled rows came'}`
      : `not measured yet${note ? `: ${note}` : ''}`;
  const way = difference < 0 ? 'worse' : 'better';
  const between = lo === undefined || hi === undefined ? '' : `, between ${format(lo)} and ${format(hi)}`;
  const when = until === undefined ? '' : ` until ${new Date(until).toISOString().slice(0, 10)}`;
  return `${metric} ${way} by ${format(Math.abs(difference))} than version ${predecessor}'s${between}, on ${rows.toLocaleString('en-US')} labelled rows${when}${isFinal ? '' : ', so far'}`;
}

const format = (value: number) => String(Number(value.toPrecision(3)));
