/**
 * The parts of a date that a model may use. A linear time is left out on purpose: trees cannot go beyond the dates that
 * they saw, and a line goes beyond them without end.
 */
export const calendarParts = ['minute_of_day', 'weekday', 'day_of_month', 'month', 'day_of_year'] as const;

export type CalendarPart = (typeof calendarParts)[number];

export const MS_PER_DAY = 86_400_000;
export const MS_PER_MINUTE = 60_000;
/** Days from 0000-03-01 to 1970-01-01, and in 400 Gregorian years. */
export const EPOCH_DAY = 719_468;
export const DAYS_PER_ERA = 146_097;

/**
 * One part of every date, in UTC: minute of the day 0 to 1439, weekday 0 (Monday) to 6, day of the month from 1, month
 * from 1, day of the year from 1. Whole numbers, so that float32 holds them exactly. NaN stays NaN.
 *
 * Civil-from-days arithmetic: Hinnant (2013), https://howardhinnant.github.io/date_algorithms.html. `writeCalendarPart`
 * does the same in the graph.
 *
 * @param timesMs milliseconds since the epoch, whole, also negative
 */
export function calendarPart(part: CalendarPart, timesMs: Float64Array): Float32Array {
  const values = new Float32Array(timesMs.length);
  for (let i = 0; i < timesMs.length; i++) values[i] = partOf(part, timesMs[i]!);
  return values;
}

function partOf(part: CalendarPart, timeMs: number): number {
  const day = Math.floor(timeMs / MS_PER_DAY);
  if (part === 'minute_of_day') return Math.floor((timeMs - day * MS_PER_DAY) / MS_PER_MINUTE);
  if (part === 'weekday') return modulo(day + 3, 7);
  const dayOfEra = modulo(day + EPOCH_DAY, DAYS_PER_ERA);
  const yearOfEra = Math.floor(
    (dayOfEra -
      Math.floor(dayOfEra / 1460) +
      Math.floor(dayOfEra / 36_524) -
      Math.floor(dayOfEra / 146_096)) /
      365,
  );
  const dayFromMarch = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayFromMarch + 2) / 153);
  if (part === 'day_of_month') return dayFromMarch - Math.floor((153 * monthFromMarch + 2) / 5) + 1;
  if (part === 'month') return monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  if (monthFromMarch >= 10) return dayFromMarch - 305;
  const leap = yearOfEra % 4 === 0 && (yearOfEra % 100 !== 0 || yearOfEra === 0);
  return dayFromMarch + (leap ? 61 : 60);
}

const modulo = (value: number, divisor: number): number => value - Math.floor(value / divisor) * divisor;
