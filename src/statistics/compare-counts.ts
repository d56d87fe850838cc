/** Shares at or under this are what Evidently replaces zeros by. */
const ZERO_SHARE = 0.0001;

/**
 * Population stability index of counts by bin: Σ (r − c)·ln(r/c) over the shares.
 *
 * A zero becomes 0.0001, or a millionth of the smallest other share when that is no larger: as Evidently does, so that
 * the numbers can be compared.
 */
export function psiOfCounts(reference: ArrayLike<number>, current: ArrayLike<number>): number {
  const r = sharesOf(reference);
  const c = sharesOf(current);
  let psi = 0;
  for (let i = 0; i < r.length; i++) {
    psi += (r[i]! - c[i]!) * Math.log(r[i]! / c[i]!);
  }
  return psi;
}

function sharesOf(counts: ArrayLike<number>): Float64Array {
  const total = sumOfCounts(counts);
  const shares = Float64Array.from(counts, (count) => count / total);
  let smallest = Number.POSITIVE_INFINITY;
  for (const share of shares) if (share > 0 && share < smallest) smallest = share;
  const zero = smallest <= ZERO_SHARE ? smallest / 1e6 : ZERO_SHARE;
  return shares.map((share) => (share > 0 ? share : zero));
}

/**
 * Largest distance between the two cumulative distributions, over bins in order (Kolmogorov-Smirnov). Exact when each
 * distinct value has a bin, else a lower bound. NaN when one side has no rows.
 */
export function ksOfCounts(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const totalA = sumOfCounts(a);
  const totalB = sumOfCounts(b);
  if (totalA === 0 || totalB === 0) return Number.NaN;
  let upToA = 0;
  let upToB = 0;
  let distance = 0;
  for (let i = 0; i < a.length; i++) {
    upToA += a[i]!;
    upToB += b[i]!;
    distance = Math.max(distance, Math.abs(upToA / totalA - upToB / totalB));
  }
  return distance;
}

export function sumOfCounts(counts: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < counts.length; i++) sum += counts[i]!;
  return sum;
}
