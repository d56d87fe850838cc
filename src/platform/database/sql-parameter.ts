/**
 * Makes one SQL parameter mean the same on both dialects: NaN becomes NULL (SQLite could not store it otherwise), and
 * what one of them would refuse or change in silence is refused on both.
 */
export function checkParameter(value: unknown, index: number): unknown {
  switch (typeof value) {
    case 'string':
      if (value.includes('\0')) throw refused(index, 'text may not hold U+0000');
      return value;
    case 'number':
      return Number.isNaN(value) ? null : value;
    case 'bigint':
      return value;
    case 'object':
      if (value === null || value instanceof Uint8Array) return value;
      throw refused(
        index,
        `${value.constructor?.name ?? 'an object'} is not stored; give text, a number or bytes`,
      );
    case 'boolean':
      throw refused(index, `booleans are stored as 1 and 0, got ${value}`);
    default:
      throw refused(index, `${typeof value} is not stored; say null where nothing is meant`);
  }
}

/** A number where that is exact, else the bigint itself. */
export function toExactNumber(value: bigint): number | bigint {
  return value >= Number.MIN_SAFE_INTEGER && value <= Number.MAX_SAFE_INTEGER ? Number(value) : value;
}

function refused(index: number, reason: string): TypeError {
  return new TypeError(`SQL parameter ${index + 1}: ${reason}`);
}
