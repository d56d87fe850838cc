/** Numbers for people: whole ones with thin grouping left out, others with four significant decimals. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value)) return String(value);
  return Math.abs(value) >= 1000 ? value.toFixed(1) : String(Number(value.toPrecision(4)));
}

/** Milliseconds for people. */
export function formatDuration(ms: number): string {
  // Rounded before a unit is chosen, else 59.96 s would read 60.0 s.
  const whole = Math.round(ms);
  if (whole < 1000) return `${whole} ms`;
  const tenths = Math.round(ms / 100);
  if (tenths < 600) return `${(tenths / 10).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return twoUnits(seconds, 60, 'min', 's');
  const minutes = Math.round(ms / 60_000);
  if (minutes < 24 * 60) return twoUnits(minutes, 60, 'h', 'min');
  const hours = Math.round(ms / 3_600_000);
  return twoUnits(hours, 24, 'd', 'h');
}

/** `2 h 1 min`, and `2 h` where nothing is left over. */
function twoUnits(count: number, size: number, large: string, small: string): string {
  const rest = count % size;
  return `${Math.floor(count / size)} ${large}${rest === 0 ? '' : ` ${rest} ${small}`}`;
}

/** A count with its noun, `1 model` or `2 models`; the noun is given in the plural, as the status names it. */
export function formatCount(count: number, plural: string): string {
  const singular = plural.endsWith('ies') ? `${plural.slice(0, -3)}y` : plural.replace(/s$/, '');
  return `${count} ${count === 1 ? singular : plural}`;
}

/** Bytes for people, powers of 1000. */
export function formatBytes(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB`;
  if (bytes < 1e9) return `${(bytes / 1e6).toFixed(1)} MB`;
  return `${(bytes / 1e9).toFixed(2)} GB`;
}

/** A moment in the reader's sight: `2026-11-21 04:20:17Z`. */
export function formatTime(ms: number | undefined | null): string {
  return ms == null ? '-' : `${new Date(ms).toISOString().slice(0, 19).replace('T', ' ')}Z`;
}
