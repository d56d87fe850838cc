import { expect, it } from 'vitest';
import { describeDatabases } from '../../../../tests/support/index.ts';
import {
  createLogFixture,
  idOf,
  labelLine,
  predictionLine,
  range,
  stream,
} from '../../../../tests/support/log-fixture.ts';
import type { PredictionLog } from '../prediction-log.ts';
import { createLogStore } from '../store/log-store.ts';

const ROUNDS = 4;
const ROWS = 20;

describeDatabases('two servers of one log', (openDatabase) => {
  it('lose and double nothing while both take, file, merge, and one forgets', async () => {
    const database = await openDatabase();
    // Grace as in life: what one server reads, the other does not remove at once.
    const { log: one, open } = createLogFixture(database, { graceMs: 60_000 });
    const other = open();
    let sequence = 0;
    const ship = (log: PredictionLog, first: number) => {
      const lines = range(first, first + ROWS).flatMap((i) => `${JSON.stringify(predictionLine(i))}\n`);
      const labels = range(first, first + ROWS).map((i) => `${JSON.stringify(labelLine(i, true))}\n`);
      const name = { replica: 'a', incarnation: 'i1', sequence: sequence++ };
      return Promise.all([
        log.takeSegment({ kind: 'predictions', ...name }, stream(Buffer.from(lines.join('')))),
        log.takeSegment({ kind: 'feedback', ...name }, stream(Buffer.from(labels.join('')))),
      ]);
    };
    const all = 'select count(*), count(distinct prediction_id), count(label) from predictions';
    for (let round = 0; round < ROUNDS; round++) {
      const first = round * 2 * ROWS;
      await Promise.all([
        ship(one, first),
        ship(other, first + ROWS),
        one.compact(),
        other.compact(),
        one.query(all).then(({ rows: [counts] }) => {
          const [rows, ids, labels] = counts as [number, number, number];
          expect(rows).toBe(ids);
          expect(labels).toBeLessThanOrEqual(rows);
        }),
      ]);
    }
    const total = 2 * ROUNDS * ROWS;
    expect((await one.query(all)).rows).toEqual([[total, total, total]]);
    const [, forgotten] = await Promise.all([
      one.compact(),
      other.forget({ column: 'distance', value: '3', actor: 'dana', reason: 'asked to' }),
    ]);
    expect(forgotten).toMatchObject({ predictions: 1, labels: 1 });
    for (const log of [one, other]) {
      expect((await log.query(all)).rows).toEqual([[total - 1, total - 1, total - 1]]);
      expect(
        (await log.query(`select count(*) from labels where prediction_id = '${idOf(3)}'`)).rows,
      ).toEqual([[0]]);
    }
    await one.compact();
    const files = await createLogStore(database.reader).files();
    const rowsOf = (kind: string) =>
      files.filter((file) => file.kind === kind).reduce((sum, { rows }) => sum + rows, 0);
    expect([rowsOf('predictions'), rowsOf('feedback')]).toEqual([total - 1, total - 1]);
  });
});
