import { expect, it } from 'vitest';
import { silentLogger } from '../../../tests/support/index.ts';
import { createStateKeeper } from './keep-desired-state.ts';

it('writes what is new, also after a state that was written before came again', async () => {
  const written: string[] = [];
  const state = (revision: string) => ({ revision, models: [], not_servable: [] });
  const keep = createStateKeeper(
    async ({ revision }) => void written.push(revision),
    state('1'),
    silentLogger,
  );
  keep(state('1'));
  await keep.done();
  keep(state('2'));
  keep(state('3'));
  await keep.done();
  expect(written).toEqual(['3']);
});
