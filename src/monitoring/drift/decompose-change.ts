/** Rows of one segment and the mean of a metric over them. */
export interface SegmentMean {
  segment: string;
  rows: number;
  mean: number;
}

export interface SegmentChange {
  segment: string;
  /** Shares of the rows, before and now. */
  share: { before: number; now: number };
  mean: { before?: number; now?: number };
  /** What its share's change does to the metric, and what its own change does. */
  mix: number;
  behaviour: number;
}

export interface DecomposedChange {
  before: number;
  now: number;
  mix: number;
  behaviour: number;
  /** By the size of their part, largest first. */
  segments: SegmentChange[];
}

/**
 * Takes the change of a mean apart: Δm = Σ Δπ·m_before + Σ π_now·Δm. The first sum is the mix (other rows came), the
 * second behaviour (the same rows do otherwise). A segment that was not there before has the mean of all before.
 */
export function decomposeChange(
  before: readonly SegmentMean[],
  now: readonly SegmentMean[],
): DecomposedChange | undefined {
  const rowsOf = (list: readonly SegmentMean[]) => list.reduce((sum, { rows }) => sum + rows, 0);
  const [rowsBefore, rowsNow] = [rowsOf(before), rowsOf(now)];
  if (rowsBefore === 0 || rowsNow === 0) return undefined;
  const meanOf = (list: readonly SegmentMean[], rows: number) =>
    list.reduce((sum, each) => sum + each.rows * each.mean, 0) / rows;
  const [meanBefore, meanNow] = [meanOf(before, rowsBefore), meanOf(now, rowsNow)];
  const names = [...new Set([...before, ...now].map(({ segment }) => segment))];
  const segments = names.map((segment): SegmentChange => {
    const was = before.find((each) => each.segment === segment);
    const is = now.find((each) => each.segment === segment);
    const share = { before: (was?.rows ?? 0) / rowsBefore, now: (is?.rows ?? 0) / rowsNow };
    const base = was?.mean ?? meanBefore;
    return {
      segment,
      share,
      mean: { ...(was ? { before: was.mean } : {}), ...(is ? { now: is.mean } : {}) },
      // Measured from the mean before, so that a larger share of usual rows is no change.
      mix: (share.now - share.before) * (base - meanBefore),
      behaviour: is ? share.now * (is.mean - base) : 0,
    };
  });
  segments.sort((a, b) => Math.abs(b.mix + b.behaviour) - Math.abs(a.mix + a.behaviour));
  return {
    before: meanBefore,
    now: meanNow,
    mix: segments.reduce((sum, { mix }) => sum + mix, 0),
    behaviour: segments.reduce((sum, { behaviour }) => sum + behaviour, 0),
    segments,
  };
}
