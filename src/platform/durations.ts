const UNIT_MS: Record<string, number> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
};

/** How a duration is written, to complete "must be …". */
export const DURATION_RIGHT = "a number and its unit, such as '30s', '10m', '12h', '7d' or '4w'";

/** Milliseconds of `'10m'`, `'12h'`, `'7d'`, `'1.5h'`; undefined for anything else. A month or a year has no fixed length. */
export function parseDuration(text: unknown): number | undefined {
  const match = typeof text === 'string' ? /^(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h|d|w)$/.exec(text.trim()) : null;
  return match ? Math.round(Number(match[1]) * (UNIT_MS[match[2] as string] as number)) : undefined;
}

/** The shortest way to write milliseconds that `parseDuration` reads back. */
export function writeDuration(ms: number): string {
  const unit = ['d', 'h', 'm', 's'].find((each) => ms > 0 && ms % (UNIT_MS[each] as number) === 0) ?? 'ms';
  return `${ms / (UNIT_MS[unit] as number)}${unit}`;
}
