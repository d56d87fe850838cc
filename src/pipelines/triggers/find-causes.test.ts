import { expect, it } from 'vitest';
import type { Decision } from '../tables.ts';
import { cooldownUntil, findCauses, type TriggerState } from './find-causes.ts';

const NOW = Date.UTC(2001, 3, 2, 4);
const HOUR = 3_600_000;

const policy = {
  schedule: '0 4 * * 1',
  timeZone: 'UTC',
  on: ['drift', 'performance', 'newData'] as ('drift' | 'performance' | 'newData')[],
  newRows: 100,
  cooldown: '6h',
  minimumGain: 0,
};
const started = { sequence: 7, at: NOW - 24 * HOUR, datasetVersion: 3, labelledRows: 50 } as Decision;
const quiet: TriggerState = {
  model: 'm',
  now: NOW,
  policy,
  scheduledAt: NOW + HOUR,
  lastStarted: started,
  hasVersions: true,
  openAlarms: [],
  dataset: { version: 3, digest: 'sha256:a' },
  labelledRows: 149,
};
const kinds = (change: Partial<TriggerState>) => findCauses({ ...quiet, ...change }).map(({ kind }) => kind);
const alarm = (id: string, kind: 'drift' | 'performance', column?: string) => ({
  id,
  kind,
  openedAt: NOW - HOUR,
  ...(column && { column }),
});

it('finds nothing where nothing happened', () => {
  expect(kinds({})).toEqual([]);
});

it('trains a first version at once, with or without a policy, once for each state of the data', () => {
  expect(kinds({ hasVersions: false, policy: undefined, lastStarted: undefined })).toEqual(['first']);
  expect(findCauses({ ...quiet, hasVersions: false, policy: undefined })[0]?.key).toBe('m/first/sha256:a');
  expect(kinds({ hasVersions: false, dataset: undefined })).toEqual([]);
});

it('is due by schedule when its time has come', () => {
  expect(kinds({ scheduledAt: NOW })).toEqual(['schedule']);
  expect(findCauses({ ...quiet, scheduledAt: NOW - HOUR })[0]?.key).toBe(`m/schedule/${NOW - HOUR}`);
});

it('takes open alarms of the kinds that the project names, performance first', () => {
  const openAlarms = [
    alarm('a1', 'drift', 'hour'),
    alarm('a2', 'drift', '@score'),
    alarm('a3', 'performance'),
  ];
  expect(kinds({ openAlarms })).toEqual(['performance', 'drift']);
  expect(kinds({ openAlarms, policy: { ...policy, on: ['performance'] } })).toEqual(['performance']);
  const drift = findCauses({ ...quiet, openAlarms })[1];
  expect(drift).toMatchObject({
    key: 'm/drift/a1/after-7',
    detail: { alarms: ['a1', 'a2'], columns: ['hour', '@score'] },
  });
});

it('takes an alarm that is still open after a retraining for a new cause', () => {
  const openAlarms = [alarm('a1', 'drift')];
  const later = { ...started, sequence: 8 } as Decision;
  const keys = [started, later].map(
    (last) => findCauses({ ...quiet, openAlarms, lastStarted: last })[0]?.key,
  );
  expect(new Set(keys).size).toBe(2);
});

it('knows new data by a new version of the dataset, or by enough newly labelled rows', () => {
  expect(kinds({ dataset: { version: 4, digest: 'sha256:b' } })).toEqual(['newData']);
  expect(kinds({ labelledRows: 150 })).toEqual(['newData']);
  expect(kinds({ labelledRows: 150, policy: { ...policy, on: ['drift'] } })).toEqual([]);
});

it('cools down from the start of the last retraining, but not from a start in the future', () => {
  expect(cooldownUntil(started, 25 * HOUR, NOW)).toBe(NOW + HOUR);
  expect(cooldownUntil(started, 24 * HOUR, NOW)).toBeUndefined();
  expect(cooldownUntil({ at: NOW + HOUR }, 24 * HOUR, NOW)).toBeUndefined();
  expect(cooldownUntil(undefined, 24 * HOUR, NOW)).toBeUndefined();
});
