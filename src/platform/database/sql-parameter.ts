import { ApiError } from '../errors.ts';

/**
 * Makes one SQL parameter mean the same on both dialects: NaN becomes NULL (SQLite could not store it otherwise), and
 * what one of them would refuse or change in silence is refused on both.
 */
export function checkParameter(value: unknown, index: number): unknown {
  if (typeof value === 'string') {
    // The one refusal that a caller's input can bring about: the others are mistakes of ours.
    if (value.includes('\0')) {
      throw new ApiError('INVALID_PARAMETER_VALUE', 'text may not hold U+0000 (the NUL character)');
    }
    return value;
  }
  if (typeof value === 'number') return Number.isNaN(value) ? null : value;
  if (typeof value === 'bigint' || value === null || value instanceof Uint8Array) return value;
  if (typeof value === 'boolean') throw refused(index, `booleans are stored as 1 and 0, got ${value}`);
  const kind = typeof value === 'object' ? (value.constructor?.name ?? 'an object') : typeof value;
  throw refused(index, `${kind} is not stored; give text, a number, bytes or null`);
}

/** A number where that is exact, else the bigint itself. */
export function toExactNumber(value: bigint): number | bigint {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}

function refused(index: number, reason: string): TypeError {
  return new TypeError(`SQL parameter ${index + 1}: ${reason}`);
}
