import { randomFillSync } from 'node:crypto';

const IDS_PER_DRAW = 512;
const HEX_PER_ID = 20;
const VARIANT = '89ab';

/**
 * Makes UUIDv7 ids (RFC 9562: 48 bits of milliseconds, then random), so that ids sort by time. Random bytes are drawn
 * for 512 ids at once, because a call for each would cost more than the rest of the id.
 */
export function createPredictionIds(now: () => number): () => string {
  const pool = Buffer.allocUnsafe((IDS_PER_DRAW * HEX_PER_ID) / 2);
  let hex = '';
  let at = 0;
  let lastTime = -1;
  let prefix = '';

  return () => {
    const time = now();
    if (time !== lastTime) {
      lastTime = time;
      const digits = Math.max(0, Math.floor(time)).toString(16).padStart(12, '0').slice(-12);
      prefix = `${digits.slice(0, 8)}-${digits.slice(8)}-7`;
    }
    if (at === hex.length) {
      hex = randomFillSync(pool).toString('hex');
      at = 0;
    }
    const start = at;
    at += HEX_PER_ID;
    const variant = VARIANT[hex.charCodeAt(start + 3) & 3] as string;
    const [a, b, c] = [
      hex.slice(start, start + 3),
      hex.slice(start + 4, start + 7),
      hex.slice(start + 7, start + 19),
    ];
    return `${prefix}${a}-${variant}${b}-${c}`;
  };
}
