import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { describeDatabases, fixedClock, silentLogger } from '../../../tests/support/index.ts';
import {
  CITIES,
  DAY_MS,
  type DrawnDay,
  entryOf,
  HOUR_MS,
  registerWatched,
  writeReference,
} from '../../../tests/support/watched-model.ts';
import { createMetrics, type Database } from '../../platform/index.ts';
import type { ProfileSpec } from '../../profiles/index.ts';
import type { ProfileEntry } from '../../serving/contract.ts';
import { createMonitoring, type Monitoring } from '../create-monitoring.ts';
import { type MonitorPolicy, monitorPolicySchema } from '../monitor-policy.ts';
import { createSegmentEntryStore } from './segment-entry-store.ts';
import { segmentsOf, splitSegment } from './test-segments.ts';

const FIRST_DAY = 20_000;
const ROWS = 2600;

let spec: ProfileSpec;
let referencePath: string;

beforeAll(() => {
  ({ spec, path: referencePath } = writeReference());
});

describeDatabases('drift by segment', (openDatabase) => {
  let database: Database;
  let clock: ReturnType<typeof fixedClock>;
  let monitoring: Monitoring;
  let policy: MonitorPolicy;

  beforeEach(async () => {
    database = await openDatabase();
    clock = fixedClock(FIRST_DAY * DAY_MS);
    policy = monitorPolicySchema.parse({ segments: ['city'] });
    await registerWatched(database, 'flights', 1);
    monitoring = createMonitoring({
      database,
      clock,
      logger: silentLogger,
      metrics: createMetrics(),
      files: { referencePath: async () => referencePath },
      log: {
        measureWindows: async ({ windows }) =>
          windows.map((window) => ({
            ...window,
            rows: ROWS,
            labelled: 0,
            value: undefined,
            loss: undefined,
            baseline: undefined,
          })),
      },
      policyOf: async () => policy,
      settleMs: 0,
    });
    return () => monitoring.stop();
  });

  async function live(index: number, change: Partial<DrawnDay> = {}, more: ProfileEntry[] = []) {
    const drawn = { day: FIRST_DAY + index, seed: 500 + index, rows: ROWS, ...change };
    const entries = [
      entryOf(spec, drawn),
      ...CITIES.map((only) => entryOf(spec, { ...drawn, only })),
      ...more,
    ];
    await monitoring.takeReport({ replica: 'r', incarnation: 'a' }, { watermark: 0, dropped: 0, entries });
    clock.advance((FIRST_DAY + index + 1) * DAY_MS + HOUR_MS - clock.now());
    await monitoring.advance();
    return (await monitoring.windows('flights'))[0]!;
  }

  it('finds the one whose rows have moved, compared with its own rows of the reference', async () => {
    const quiet = await live(0);
    // Segments are never summed with all rows.
    expect(quiet.rows).toBe(ROWS);
    expect(quiet.segments.map(({ column, value, against }) => [column, value, against])).toEqual(
      CITIES.map((city) => ['city', city, 'segment']),
    );
    const shares = quiet.segments.map(({ rows, share, referenceShare }) => [
      rows / ROWS - share,
      referenceShare,
    ]);
    for (const [difference, referenceShare] of shares) {
      expect(difference).toBe(0);
      expect(referenceShare).toBeGreaterThan(0.1);
    }
    expect(quiet.segments.flatMap(({ tests }) => tests).filter(({ drifted }) => drifted)).toEqual([]);
    // The column itself is the same in all rows of a segment; the score was counted with the reference's rows.
    expect(quiet.segments[0]!.tests.map(({ column }) => column).sort()).toEqual([
      '@score',
      'amount',
      'amount',
      'amount',
    ]);

    const moved = await live(1, { shift: 1, shiftIn: 'DEN' });
    const drifted = moved.segments.filter(({ tests }) => tests.some((test) => test.drifted));
    expect(drifted.map(({ value }) => value)).toEqual(['DEN']);
    const [test] = drifted[0]!.tests;
    expect(test).toMatchObject({ column: 'amount', aspect: 'values', drifted: true });
    expect(test!.psi).toBeGreaterThan(0.3);
    expect(test!.words).toMatch(/->/);
  });

  it('raises no alarm by itself, and says in an alarm of all rows where it comes from', async () => {
    for (let index = 0; index < 8; index++) {
      await live(index, { shift: 1.5, shiftIn: 'JFK' });
      if ((await monitoring.alarms()).length > 0) break;
    }
    const [alarm] = await monitoring.alarms();
    expect(alarm).toMatchObject({ column: 'amount', aspect: 'values' });
    const where = alarm!.evidence['by_segment'] as { segment: string; psi: number }[];
    expect(where.map(({ segment }) => segment)).toEqual(['city=JFK']);
    expect(where[0]!.psi).toBeGreaterThan(alarm!.evidence['psi'] as number);
    expect((await monitoring.sequences('flights')).map(({ column }) => column)).not.toContain('city=JFK');
  });

  it('compares a segment that the reference does not have with all its rows, and says so', async () => {
    const drawn = { day: FIRST_DAY, seed: 7, rows: 400, shift: 1 };
    const strange = { ...entryOf(spec, drawn), segment: 'city=BOS' };
    const few = { ...entryOf(spec, { ...drawn, rows: 150 }), segment: 'city=SEA' };
    const unasked = { ...entryOf(spec, drawn), segment: 'weekday=Monday' };
    const { segments } = await live(0, {}, [strange, few, unasked]);
    expect(segments.map(({ value }) => value)).toEqual([...CITIES, 'BOS']);
    expect(segments.at(-1)).toMatchObject({ against: 'reference', rows: 400 });
    expect(segments.at(-1)).not.toHaveProperty('referenceShare');
    expect(segments.at(-1)!.tests[0]).toMatchObject({ column: 'amount', drifted: true });
    // It takes no part in the correction of the others, nor in the explanation of an alarm.
    expect(segmentsOf({ column: 'amount', aspect: 'values' }, segments)).toEqual([]);
  });

  it('is forgotten when a later window is closed; what is known of all rows is not', async () => {
    const segmentsAt = async (index: number) => {
      const from = (FIRST_DAY + index) * DAY_MS;
      const span = { from, to: from + DAY_MS };
      const entries = createSegmentEntryStore(database.reader);
      return (await entries.largest('flights', '1', span, { least: 1, most: 10 })).length;
    };
    await live(0);
    expect(await segmentsAt(0)).toBe(CITIES.length);
    await live(1);
    expect([await segmentsAt(0), await segmentsAt(1)]).toEqual([0, CITIES.length]);
    const [traffic] = await monitoring.traffic('flights', 0, (FIRST_DAY + 2) * DAY_MS);
    expect(traffic!.answered).toBe(2 * ROWS);
  });

  it('is not reported when the policy names no columns', async () => {
    policy = monitorPolicySchema.parse({});
    expect((await live(0)).segments).toEqual([]);
  });
});

describe('a segment', () => {
  it('is of the longest column that it can be of', () => {
    expect(splitSegment('a=b=c', ['a', 'a=b', 'c'])).toEqual({ column: 'a=b', value: 'c' });
    expect(splitSegment('a=b=c', ['a'])).toEqual({ column: 'a', value: 'b=c' });
    expect(splitSegment('ab=c', ['a'])).toBeUndefined();
  });
});
