import { describe, expect, it } from 'vitest';
import { createRandom } from '../../src/platform/index.ts';
import { tempDir } from '../support/index.ts';
import { undoBadCanary } from './bad-canary.ts';
import { canFindChildren } from './find-children.ts';
import { killLoop } from './kill-loop.ts';

const LIMIT_MS = 400_000;

// The long version is `npm run fault:loop`.
describe('the loop under faults', () => {
  it('loses nothing acknowledged and does nothing twice when any of its processes is killed', {
    timeout: LIMIT_MS,
  }, async () => {
    const report = await killLoop({ folder: tempDir(), kills: 10, maxDays: 40, random: createRandom(11) });
    expect(report).toMatchObject({ lost: [] });
    const made = Object.values(report.kills).reduce((sum, count) => sum + count, 0);
    expect(made).toBe(10);
    expect(report.kills['control plane'], 'the main process is hit at least once').toBeGreaterThan(0);
    if (canFindChildren) expect(Object.keys(report.kills).length).toBeGreaterThan(2);
    expect(report.days).toBeGreaterThanOrEqual(10);
    expect(report.seen['versions']).toBeGreaterThanOrEqual(2);
  });

  it('undoes by itself a canary that was trained on shuffled labels', { timeout: LIMIT_MS }, async () => {
    const report = await undoBadCanary({ folder: tempDir(), maxDays: 10, random: createRandom(1) });
    expect(report).toMatchObject({ state: 'undone', errors: 0, servesAfterwards: '1' });
    expect(report.answeredByCanary).toBeGreaterThan(50);
    expect(report.answeredByCanary).toBeLessThan(report.requests / 2);
  });
});
