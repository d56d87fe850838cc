import { expect, it } from 'vitest';
import { describeDatabases } from '../../../../tests/support/index.ts';
import {
  createLogFixture,
  idOf,
  labelLine,
  predictionLine,
  START,
} from '../../../../tests/support/log-fixture.ts';

/** What a client may send as a timestamp: the first and the last moment of a Date, whose months begin and end beyond it. */
const EDGES = [-8.64e15, -8.64e15 + 1, 8.64e15 - 1, 8.64e15];

describeDatabases('writing files', (openDatabase) => {
  it('files rows and labels of the first and the last moment that there is, and forgets them', async () => {
    const { ship, select, log } = createLogFixture(await openDatabase());
    await ship(
      'predictions',
      EDGES.map((t, i) => predictionLine(i, { t, at: START, f: { destination: `d${i}` } })),
    );
    await ship(
      'feedback',
      EDGES.map((t, i) => labelLine(i, true, { t, at: START })),
    );
    await log.compact();
    expect(
      await select('select prediction_id, epoch_ms(timestamp), label from flights order by prediction_id'),
    ).toEqual(EDGES.map((t, i) => [idOf(i), t, 1]));
    expect(await log.forget({ column: 'destination', value: 'd3', actor: 'a', reason: 'r' })).toMatchObject({
      predictions: 1,
      labels: 1,
    });
    expect(await select('select count(*) from predictions')).toEqual([[3]]);
  });
});
