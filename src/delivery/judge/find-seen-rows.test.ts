import { expect, it } from 'vitest';
import { TRAINING_KEY } from '../../models/index.ts';
import { findUnseenRows } from './find-seen-rows.ts';

const trained = (digest: string, seed: number, testShare = 0.2) => ({
  [TRAINING_KEY]: JSON.stringify({ data: { digest }, split: { kind: 'stratified', testShare, seed } }),
});
const trainedUntil = (digest: string, to: number) => ({
  [TRAINING_KEY]: JSON.stringify({
    data: { digest, time: { from: 0, to } },
    split: { kind: 'time', testFrom: to },
  }),
});
const times = Float64Array.from([100, 200, 300, 400]);

it('doubts rows that a champion of another split of the same table has seen, and says how to split as it did', () => {
  const { doubt } = findUnseenRows(trained('sha256:a', 2), trained('sha256:a', 1), undefined);
  expect(doubt).toMatch(/another split of the same table.*--split stratified --test-share 0\.2 --seed 1/);
  expect(findUnseenRows(trained('sha256:a', 1, 0.3), trained('sha256:a', 1), undefined).doubt).toBeDefined();
});

it('takes all rows where both were trained on the same split of the same table', () => {
  expect(findUnseenRows(trained('sha256:a', 1), trained('sha256:a', 1), times)).toEqual({ notes: [] });
});

it.each([
  ['other tables', trained('sha256:a', 2), trained('sha256:b', 1)],
  ['a champion of another maker', trained('sha256:a', 2), {}],
  ['metadata that are no JSON', trained('sha256:a', 2), { [TRAINING_KEY]: '{' }],
])('says that it does not know, of %s', (_, challenger, champion) => {
  const found = findUnseenRows(challenger, champion, times);
  expect(found.doubt).toBeUndefined();
  expect(found.keep).toBeUndefined();
  expect(found.notes).toEqual([expect.stringContaining('do not tell')]);
});

it('leaves out rows that are not later than what the champion was trained on', () => {
  const found = findUnseenRows(trainedUntil('sha256:b', 100), trainedUntil('sha256:a', 300), times);
  expect(found.keep).toEqual([2, 3]);
  expect(found.notes).toEqual([expect.stringContaining('2 rows are left out')]);
  expect(findUnseenRows(trainedUntil('b', 50), trainedUntil('a', 100), times)).toEqual({ notes: [] });
  expect(findUnseenRows(trainedUntil('b', 50), trainedUntil('a', 500), times).none).toContain(
    'none of the 4 rows',
  );
});

it('says when the rows are of the days that the version learned from', () => {
  const found = findUnseenRows(trainedUntil('b', 250), trainedUntil('a', 90), times);
  expect(found.notes).toEqual([expect.stringContaining('not all later')]);
});
