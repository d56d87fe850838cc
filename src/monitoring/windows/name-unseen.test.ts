import { expect, it } from 'vitest';
import { describeDatabases, silentLogger } from '../../../tests/support/index.ts';
import {
  createLogFixture,
  DAY_MS,
  predictionLine,
  range,
  START,
} from '../../../tests/support/log-fixture.ts';
import type { ProfileColumn } from '../../profiles/index.ts';
import { nameUnseen } from './name-unseen.ts';

describeDatabases('values that the reference does not have', (openDatabase) => {
  it('are named from the log, the most frequent first', async () => {
    const { log, ship } = createLogFixture(await openDatabase());
    const strange = ["O'Hare", "O'Hare", 'XYZ', 'SFO', null];
    await ship('predictions', [
      ...range(0, 5).map((i) =>
        predictionLine(i, { t: START, f: { distance: i === 4 ? 9000 : 300, destination: strange[i] } }),
      ),
      predictionLine(5, { t: START + DAY_MS, f: { destination: 'later' } }),
      predictionLine(6, { t: START, v: '2', f: { destination: 'of another version' } }),
    ]);
    const name = (column: ProfileColumn) =>
      nameUnseen(
        log.query,
        { model: 'flights', version: '1', window: { from: START, to: START + DAY_MS }, column },
        silentLogger,
      );
    const destination = {
      name: 'destination',
      kind: 'categorical',
      categories: ['SFO'],
      hasOther: false,
    } as const;
    expect(await name(destination)).toEqual([
      { value: "O'Hare", rows: 2 },
      { value: 'XYZ', rows: 1 },
    ]);
    const distance = { name: 'distance', kind: 'numeric', min: 0, max: 5000, edges: [] } as const;
    expect(await name(distance)).toEqual([{ value: '9000', rows: 1 }]);
    // Derived columns are not in the log.
    expect(await name({ ...distance, name: 'hour' })).toEqual([]);
  });

  it('are left unnamed when the log cannot be asked', async () => {
    const broken = () => Promise.reject(new Error('busy'));
    const column = { name: 'x', kind: 'numeric', min: 0, max: 1, edges: [] } as const;
    const asked = { model: 'm', version: '1', window: { from: 0, to: 1 }, column };
    expect(await nameUnseen(broken, asked, silentLogger)).toEqual([]);
  });
});
