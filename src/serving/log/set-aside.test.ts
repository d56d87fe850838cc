import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { tempDir } from '../../../tests/support/index.ts';
import { inspectSegment } from './inspect-segment.ts';
import type { ClosedSegment } from './segment-writer.ts';
import { createRefusedSegments } from './set-aside.ts';

function segmentIn(folder: string, sequence: number, text: string): ClosedSegment {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, `predictions-${sequence}.ndjson`);
  writeFileSync(path, text);
  return { kind: 'predictions', sequence, path, bytes: Buffer.byteLength(text), newest: null };
}

it('keeps refused segments for people, and no more than the disk can spare, over all incarnations', async () => {
  const root = tempDir();
  const [a, b] = [join(root, 'a'), join(root, 'b')];
  const first = createRefusedSegments({ root, mostBytes: 20 });
  expect(await first.setAside(segmentIn(a, 0, '12345678\n'), a)).toBe(join(a, 'refused'));
  const second = createRefusedSegments({ root, mostBytes: 20 });
  expect(await second.setAside(segmentIn(b, 0, '12345678\n'), b)).toBe(join(b, 'refused'));
  const third = segmentIn(b, 1, '12345678\n');
  expect(await second.setAside(third, b)).toBeUndefined();
  expect(existsSync(third.path)).toBe(false);
  expect(readdirSync(join(b, 'refused'))).toEqual(['predictions-0.ndjson']);
});

it('reads a segment once however often it is tried, and notices that it is gone', async () => {
  const segment = segmentIn(tempDir(), 0, '{"id":"x","t":12}\n{"id":"y","t":-3}\n');
  const found = await inspectSegment(segment);
  expect(found).toMatchObject({ newest: 12, sha256: expect.stringMatching(/^[0-9a-f]{64}$/) });
  writeFileSync(segment.path, 'something else');
  expect(await inspectSegment(segment)).toBe(found);
  rmSync(segment.path);
  expect(await inspectSegment(segment)).toBeUndefined();
});
