import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';

/** The newer of two event times; null is none. */
export function newer(a: number | null, b: number | null): number | null {
  return a === null || (b !== null && b > a) ? b : a;
}

const EVENT_TIME = /"t":(-?\d+)/;

export function unlessGone(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

/** The digest of a segment, and its newest event time where that is not known yet. */
export async function inspectSegment(
  path: string,
  bytes: number,
  known: number | null,
): Promise<{ sha256: string; newest: number | null }> {
  const hash = createHash('sha256');
  let newest = known;
  let rest = '';
  for await (const chunk of createReadStream(path, {
    end: bytes - 1,
    highWaterMark: 1 << 20,
  }) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    if (known !== null) continue;
    const lines = (rest + chunk.toString('latin1')).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) {
      const time = Number(EVENT_TIME.exec(line)?.[1] ?? Number.NaN);
      if (newest === null || time > newest) newest = Number.isNaN(time) ? newest : time;
    }
  }
  return { sha256: hash.digest('hex'), newest };
}
