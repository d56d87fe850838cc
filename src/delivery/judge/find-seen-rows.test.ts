import { expect, it } from 'vitest';
import { TRAINING_KEY } from '../models/index.ts';
import { findSeenRows } from './find-seen-rows.ts';

const trained = (digest: string, seed: number, testShare = 0.2) => ({
  [TRAINING_KEY]: JSON.stringify({ data: { digest }, split: { kind: 'stratified', testShare, seed } }),
});

it('says that a champion of another split of the same table has seen the rows, and how to split as it did', () => {
  expect(findSeenRows(trained('sha256:a', 2), trained('sha256:a', 1))).toMatch(
    /another split of the same table.*--split stratified --test-share 0\.2 --seed 1/,
  );
  expect(findSeenRows(trained('sha256:a', 1, 0.3), trained('sha256:a', 1))).toBeDefined();
});

it.each([
  ['the same split', trained('sha256:a', 1), trained('sha256:a', 1)],
  ['other tables', trained('sha256:a', 2), trained('sha256:b', 1)],
  ['a champion of another maker', trained('sha256:a', 2), {}],
  ['metadata that are no JSON', trained('sha256:a', 2), { [TRAINING_KEY]: '{' }],
])('says nothing of %s', (_, challenger, champion) => {
  expect(findSeenRows(challenger, champion)).toBeUndefined();
});
