import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { access } from 'node:fs/promises';
import type { ClosedSegment } from './segment-writer.ts';

/** The newer of two event times; null is none. */
export function newer(a: number | null, b: number | null): number | null {
  return a === null || (b !== null && b > a) ? b : a;
}

const EVENT_TIME = /"t":(-?\d+)/;

/**
 * The digest of a segment, and its newest event time; undefined when the file is gone. Read once: while the control
 * plane is away, gigabytes may wait, and each attempt begins with the first of them.
 */
export async function inspectSegment(
  segment: ClosedSegment,
): Promise<{ sha256: string; newest: number | null } | undefined> {
  try {
    if (segment.inspected === undefined) segment.inspected = await readSegment(segment);
    else await access(segment.path);
    return segment.inspected;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return undefined;
  }
}

async function readSegment({ path, bytes, newest: known }: ClosedSegment) {
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
