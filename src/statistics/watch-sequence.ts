/** One test's accumulated evidence over windows. `logM` is −Infinity, or any very negative number, at the start. */
export interface Sequence {
  logM: number;
  /** Windows taken since the start. */
  runs: number;
}

export const FRESH_SEQUENCE: Sequence = { logM: Number.NEGATIVE_INFINITY, runs: 0 };

/** p-values below this are taken as this: no single window is surer. */
const SMALLEST_P = 1e-12;

/**
 * The e-value of a p-value: (1 − p + p·ln p)/(p·ln²p), between 1/2 and 1.3e9. Its mean under the null is 1, and it
 * needs no parameter.
 *
 * The mixture ∫₀¹ κ·p^(κ−1) dκ of Vovk and Wang (2021), doi:10.1214/20-AOS2020, section 2.
 */
export function evidenceOf(p: number): number {
  const log = Math.log(Math.min(1, Math.max(SMALLEST_P, p)));
  if (log > -1e-3) return 0.5 - log / 6 + (log * log) / 24;
  return (Math.expm1(-log) + log) / (log * log);
}

/**
 * Takes a window's p into the sequence: M <- (M + 1)·e(p), kept as log M, so that nothing overflows.
 *
 * The Shiryaev-Roberts e-detector of Shin, Ramdas and Rinaldo (2024), doi:10.51387/23-NEJSDS51: alarmed at M >= c, the
 * average run to a false alarm is c windows or more. A window whose p is NaN could not be tested and changes nothing.
 */
export function advanceSequence(state: Sequence, p: number): Sequence {
  if (Number.isNaN(p)) return state;
  const { logM, runs } = state;
  const logSum = logM > 0 ? logM + Math.log1p(Math.exp(-logM)) : Math.log1p(Math.exp(logM));
  return { logM: logSum + Math.log(evidenceOf(p)), runs: runs + 1 };
}

/**
 * @param tests how many sequences of the data set run beside each other, this one too (Bonferroni)
 * @param arl windows to a false alarm of the whole data set, on average, at least
 */
export function isAlarm({ logM }: Sequence, tests: number, arl = 1000): boolean {
  return logM >= Math.log(tests * arl);
}
