import { expect, it } from 'vitest';

import { splitReport } from './split-report.ts';

const entry = (hour: number): Parameters<typeof splitReport>[0]['entries'][number] => ({
  model: 'm',
  version: '1',
  variant: 'champion',
  hour,
  segment: '',
  part: 0,
  answered: 1,
  failed: 0,
  latency: [],
  profile: 'x'.repeat(1000),
});

it('tells many hours in several reports, every entry once and in order, the watermark last', () => {
  const report = { watermark: 7, dropped: 3, entries: Array.from({ length: 10 }, (_, hour) => entry(hour)) };
  const parts = splitReport(report, 5000);
  expect(parts.map(({ entries }) => entries.length)).toEqual([3, 3, 3, 1]);
  expect(parts.flatMap(({ entries }) => entries)).toEqual(report.entries);
  expect(parts.map(({ watermark }) => watermark)).toEqual([null, null, null, 7]);
  expect(parts.every(({ dropped }) => dropped === 3)).toBe(true);
});

it('leaves small reports and those without entries as they are, and one entry whole however large', () => {
  for (const entries of [[], [entry(1), entry(2)]]) {
    const report = { watermark: null, dropped: 0, entries };
    expect(splitReport(report)).toEqual([report]);
  }
  expect(splitReport({ watermark: 1, dropped: 0, entries: [entry(1), entry(2)] }, 10)).toHaveLength(2);
});
