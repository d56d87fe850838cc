import { describe, expect, it } from 'vitest';
import { fc } from '../../tests/support/properties.ts';
import { createSession, OnnxGraphBuilder, SIGNATURE_KEY, writeSignature } from '../models/index.ts';
import { calendarPart, calendarParts } from './calendar.ts';
import { createCalendarWriter } from './graph/write-calendar.ts';

const DAY_MS = 86_400_000;

/** What the platform's own calendar says. */
function expectedParts(timeMs: number): number[] {
  const date = new Date(timeMs);
  const yearStart = new Date(timeMs);
  yearStart.setUTCMonth(0, 1);
  yearStart.setUTCHours(0, 0, 0, 0);
  return [
    date.getUTCHours() * 60 + date.getUTCMinutes(),
    (date.getUTCDay() + 6) % 7,
    date.getUTCDate(),
    date.getUTCMonth() + 1,
    Math.floor((timeMs - yearStart.getTime()) / DAY_MS) + 1,
  ];
}

const someTimes = [
  0,
  -1,
  1,
  -DAY_MS,
  -DAY_MS - 1,
  Date.UTC(2000, 1, 29, 23, 59),
  Date.UTC(1900, 1, 28, 12),
  Date.UTC(1900, 2, 1),
  Date.UTC(2024, 11, 31),
  Date.UTC(1968, 11, 31, 6),
  Date.UTC(2100, 1, 28),
  Date.UTC(1, 0, 1),
  8.64e15,
  -8.64e15,
];

describe('calendar parts', () => {
  it('are those of the platform, also before 1970 and in every leap year', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.constantFrom(...someTimes), fc.maxSafeInteger()).map((x) => x % 8.6e15),
        (timeMs) => {
          const parts = calendarParts.map((part) => calendarPart(part, Float64Array.of(timeMs))[0]);
          expect(parts).toEqual(expectedParts(timeMs));
        },
      ),
      { numRuns: 2000 },
    );
  });

  it('are missing where the date is', () => {
    for (const part of calendarParts) expect(calendarPart(part, Float64Array.of(Number.NaN))[0]).toBeNaN();
  });

  it('are the same in the graph, from whole milliseconds, and NaN for the missing date', async () => {
    const times = [
      ...someTimes,
      ...fc.sample(fc.maxSafeInteger(), { numRuns: 500, seed: 1 }).map((x) => x % 8.64e15),
    ];
    for (const part of calendarParts) {
      const graph = new OnnxGraphBuilder();
      graph.input('datetime', 'int64', ['rows', 1]);
      graph.node('Identity', [createCalendarWriter(graph, 'datetime').writeNumber(part)], 'value');
      graph.output('value', 'float32', ['rows', 1]);
      const signature = writeSignature({
        columns: [{ name: 'at', type: 'datetime', nullable: true }],
        inputs: [{ name: 'datetime', elementType: 'int64', columns: ['at'] }],
        output: { task: 'regression', target: part, value: 'value' },
      });
      const session = await createSession(graph.encode({ metadata: { [SIGNATURE_KEY]: signature } }));
      const tensor = BigInt64Array.from([...times.map(BigInt), -(2n ** 63n)]);
      const { values } = await session.run({ rows: tensor.length, tensors: { datetime: tensor } });
      expect([...values!]).toEqual([...calendarPart(part, Float64Array.from([...times, Number.NaN]))]);
      await session.release();
    }
  });
});
