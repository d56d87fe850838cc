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
