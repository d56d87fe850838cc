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
 * Which hypotheses are rejected when the chance that any of them is a false one shall be `alpha` at most.
 *
 * Holm (1979), Scandinavian Journal of Statistics 6, 65-70. A p that is NaN is not rejected and not counted.
 */
export function holm(ps: readonly number[], alpha: number): boolean[] {
  const sorted = ps.filter((p) => !Number.isNaN(p)).sort((a, b) => a - b);
  let limit = Number.NEGATIVE_INFINITY;
  for (const [i, p] of sorted.entries()) {
    if (p > alpha / (sorted.length - i)) break;
    limit = p;
  }
  return ps.map((p) => p <= limit);
}
