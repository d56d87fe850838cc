/**
 * Which hypotheses are rejected when the share of false ones among them shall be `q` at most, on average.
 *
 * Benjamini and Hochberg (1995), doi:10.1111/j.2517-6161.1995.tb02031.x. A p that is NaN is not rejected and not counted.
 */
export function benjaminiHochberg(ps: readonly number[], q: number): boolean[] {
  const sorted = ps.filter((p) => !Number.isNaN(p)).sort((a, b) => a - b);
  let limit = Number.NEGATIVE_INFINITY;
  for (const [i, p] of sorted.entries()) if (p <= (q * (i + 1)) / sorted.length) limit = p;
  return ps.map((p) => p <= limit);
}

/**
 * The smallest share of false ones, on average, at which each hypothesis is rejected: the adjusted p-values of the same
 * procedure. NaN stays NaN.
 */
export function adjustBenjaminiHochberg(ps: readonly number[]): number[] {
  const order = ps
    .map((p, index) => ({ p, index }))
    .filter(({ p }) => !Number.isNaN(p))
    .sort((a, b) => b.p - a.p);
  const adjusted = ps.map(() => Number.NaN);
  let smallest = 1;
  for (const [i, { p, index }] of order.entries()) {
    smallest = Math.min(smallest, (p * order.length) / (order.length - i));
    adjusted[index] = smallest;
  }
  return adjusted;
}
