/** So uneven a part of the rows that a test of it could take the time of day for drift, several times in a row. */
const UNEVEN = 0.05;
/** Standard deviations of chance beyond that. */
const SURE = 4;
const DAY_MS = 86_400_000;

/**
 * Did a version answer another part of some hours of the day than of others? Promoted at noon it has seen the afternoon alone, which
 * differs from whole days in everything that depends on the hour, and that is no drift. Where windows are longer than a day, the days
 * of one differ as well: a version that came on Thursday has seen the weekend, and little else of the week.
 *
 * With v rows of the version and shares p of all rows by hour, φ² = Σ (v/n − p)²/p, about a PSI; rows drawn evenly give
 * df·(1/n − 1/m) with a standard deviation of √(2·df)·(1/n − 1/m).
 *
 * @param ownByHour rows that the version answered, by the start of their hour; the same hours of several days, or spans, are added up
 * @param allByHour rows that any version answered
 * @param everyMs the span of the policy, of which a window is one, or several when rows are few
 */
export function isPartial(
  ownByHour: ReadonlyMap<number, number>,
  allByHour: ReadonlyMap<number, number>,
  everyMs: number,
): boolean {
  const period = Math.max(DAY_MS, everyMs);
  const [own, all] = [byHourOf(period, ownByHour), byHourOf(period, allByHour)];
  const [n, m] = [sumOf(own), sumOf(all)];
  if (n === 0 || n >= m) return false;
  let phi2 = 0;
  let hours = 0;
  for (const [hour, rows] of all) {
    if (rows === 0) continue;
    hours++;
    phi2 += ((own.get(hour) ?? 0) / n - rows / m) ** 2 / (rows / m);
  }
  const df = hours - 1;
  const chance = 1 / n - 1 / m;
  return phi2 - df * chance > UNEVEN + SURE * Math.sqrt(2 * df) * chance;
}

function byHourOf(period: number, rows: ReadonlyMap<number, number>): Map<number, number> {
  const sums = new Map<number, number>();
  for (const [hour, count] of rows) {
    const ofPeriod = ((hour % period) + period) % period;
    sums.set(ofPeriod, (sums.get(ofPeriod) ?? 0) + count);
  }
  return sums;
}

function sumOf(rows: ReadonlyMap<number, number>): number {
  let sum = 0;
  for (const each of rows.values()) sum += each;
  return sum;
}
