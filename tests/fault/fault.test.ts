import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { createRandom } from '../../src/platform/index.ts';
import { tempDir } from '../support/index.ts';
import { spawnPlatform } from '../support/spawn-platform.ts';
import { nothingAcknowledged } from './acknowledged.ts';
import { canFindChildren } from './find-children.ts';
import { findTooLittle, killRounds } from './kill-rounds.ts';
import { prepareIris } from './prepare-iris.ts';
import { findProblems, swapUnderLoad } from './swap-under-load.ts';
import { comparePoints, verifyAcknowledged, verifyPromotions } from './verify-acknowledged.ts';

const SEED = 7;
const VERSIONS = 4;
const LIMIT_MS = 180_000;

// The long versions are `npm run fault` and `npm run swaps`.
describe('the platform under faults and load', () => {
  let prepared: string;
  const copyData = () => {
    const dataDir = join(tempDir(), 'data');
    cpSync(prepared, dataDir, { recursive: true });
    return dataDir;
  };

  beforeAll(async () => {
    prepared = join(tempDir(), 'data');
    await prepareIris(prepared, { versions: VERSIONS });
  }, LIMIT_MS);

  it('loses nothing acknowledged when any of its processes is killed', { timeout: LIMIT_MS }, async () => {
    const report = await killRounds({ dataDir: copyData(), rounds: 5, random: createRandom(SEED) });
    expect(report).toMatchObject({ rounds: 5, lost: [], unexpected: [] });
    expect(report.kills).toEqual(
      canFindChildren
        ? { 'control plane': 2, 'model server': 1, judge: 1, 'table work': 1 }
        : { 'control plane': 5, 'model server': 0, judge: 0, 'table work': 0 },
    );
  });

  it('fails no request while versions are promoted, loaded and rolled back', {
    timeout: LIMIT_MS,
  }, async () => {
    const report = await swapUnderLoad({
      dataDir: copyData(),
      swaps: 5,
      versions: VERSIONS,
      random: createRandom(SEED),
      concurrency: 8,
    });
    expect(report).toMatchObject({ swaps: 5, errors: 0, problems: [] });
    expect(report.promotions).toBeGreaterThanOrEqual(2);
    expect(report.rollbacks).toBeGreaterThanOrEqual(1);
  });

  it('would tell a loss of each kind', { timeout: LIMIT_MS }, async () => {
    const platform = await spawnPlatform({ dataDir: copyData() });
    try {
      const lost: string[] = [];
      const acknowledged = nothingAcknowledged();
      acknowledged.runs.set('0'.repeat(32), {
        points: [],
        unanswered: [],
        params: new Map(),
        isFinished: false,
      });
      acknowledged.artifacts.set('fault/gone.bin', '00');
      acknowledged.tables.set(1, { rows: 1, digest: 'none' });
      acknowledged.promotions.push({ reason: 'fault never', to: '2' });
      await verifyAcknowledged(platform, acknowledged, (what) => lost.push(what));
      await verifyPromotions(platform, acknowledged, [], (what) => lost.push(what));
      expect(lost.sort()).toEqual([
        expect.stringContaining('artifact fault/gone.bin is answered 404'),
        expect.stringContaining(`run ${'0'.repeat(32)} is answered 404`),
        expect.stringContaining('the history has 0 promotions of the 1'),
        expect.stringContaining('version 1 of the table is answered 404'),
      ]);
    } finally {
      await platform.stop();
    }
  });

  it('would tell a point that is missing, doubled, changed or half of a batch', () => {
    const [first, second, third] = [0, 1, 2].map((step) => ({
      key: 'loss',
      value: step,
      timestamp: 5,
      step,
    }));
    const run = {
      points: [first!, second!],
      unanswered: [] as never[],
      params: new Map(),
      isFinished: false,
    };
    const compare = (found: NonNullable<typeof first>[], unanswered = run.unanswered as typeof found) => {
      const lost: string[] = [];
      comparePoints('loss', found, { ...run, unanswered }, 'loss', (what) => lost.push(what));
      return lost;
    };
    expect(compare([first!, second!])).toEqual([]);
    expect(compare([second!])).toEqual(['loss of 0 at 5, step 0 is there 0 times']);
    expect(compare([first!, second!, second!])).toEqual(['loss of 1 at 5, step 1 is there 2 times']);
    expect(compare([first!, { ...second!, value: 7 }])).toHaveLength(2);
    expect(compare([first!, second!, third!])).toHaveLength(1);
    const batch = [third!, { ...third!, step: 3 }];
    expect(compare([first!, second!], batch)).toEqual([]);
    expect(compare([first!, second!, ...batch], batch)).toEqual([]);
    expect(compare([first!, second!, third!], batch)).toHaveLength(1);
  });

  it('is not told to be safe by rounds that did too little', () => {
    const enough = { runs: 9, metrics: 90, artifacts: 9, promotions: 9, tables: 9, predictions: 900 };
    const kills = { 'control plane': 2, 'model server': 0, judge: 0, 'table work': 0 };
    expect(findTooLittle({ rounds: 2, kills, acknowledged: enough })).toEqual([]);
    expect(findTooLittle({ rounds: 3, kills, acknowledged: { ...enough, predictions: 0 } })).toEqual([
      'too few predictions acknowledged: 0 of 30',
      '2 kills in 3 rounds',
    ]);
    expect(findProblems(5, { requests: 0, errors: 0 })).toHaveLength(1);
    expect(findProblems(5, { requests: 500, errors: 1 })).toEqual(['1 requests failed']);
  });
});
