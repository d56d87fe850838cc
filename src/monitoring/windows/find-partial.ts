/** So uneven a part of the rows that a test of it could take the time of day for drift, several times in a row. */
const UNEVEN = 0.05;
/** Standard deviations of chance beyond that. */
const SURE = 4;
const DAY_MS = 86_400_000;

/**
 * Did a version answer another part of some hours of the day than of others? Promoted at noon it has seen the afternoon alone, which
 * differs from whole days in everything that depends on the hour, and that is no drift.
 *
 * With v rows of the version and shares p of all rows by hour, φ² = Σ (v/n − p)²/p, about a PSI; rows drawn evenly give
 * df·(1/n − 1/m) with a standard deviation of √(2·df)·(1/n − 1/m).
 *
 * @param ownByHour rows that the version answered, by the start of their hour; of several days the same hours are added up
 * @param allByHour rows that any version answered
 */
export function isPartial(
  ownByHour: ReadonlyMap<number, number>,
  allByHour: ReadonlyMap<number, number>,
): boolean {
  const [own, all] = [byHourOfDay(ownByHour), byHourOfDay(allByHour)];
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

function byHourOfDay(rows: ReadonlyMap<number, number>): Map<number, number> {
  const sums = new Map<number, number>();
  for (const [hour, count] of rows) {
    const ofDay = ((hour % DAY_MS) + DAY_MS) % DAY_MS;
    sums.set(ofDay, (sums.get(ofDay) ?? 0) + count);
  }
  return sums;
}

function sumOf(rows: ReadonlyMap<number, number>): number {
  let sum = 0;
  for (const each of rows.values()) sum += each;
  return sum;
}
