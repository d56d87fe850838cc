import { beforeAll, expect, it } from 'vitest';
import { describeDatabases } from '../../../tests/support/index.ts';
import { createLogFixture, type LogFixture, labelLine, predictionLine, range } from './log-fixture.suite.ts';

describeDatabases('taking segments', (openDatabase) => {
  let fixture: LogFixture;
  beforeAll(async () => {
    fixture = createLogFixture(await openDatabase());
  });

  it('answers with rows and labels at once, and the same after they are filed', async () => {
    const { ship, select, log } = fixture;
    await ship(
      'predictions',
      range(0, 100).map((i) => predictionLine(i)),
    );
    await ship(
      'feedback',
      range(0, 50).map((i) => labelLine(i, i % 2 === 0)),
    );
    const sql =
      'select hour(date) as hour, count(*), avg(label), count(label) from flights group by 1 order by 1';
    const before = await select(sql);
    expect(before).toEqual([
      [0, 60, 0.5, 50],
      [1, 40, null, 0],
    ]);
    expect(await log.compact()).toEqual({ filed: 2, merged: 0 });
    expect(await select(sql)).toEqual(before);
    await ship(
      'predictions',
      range(100, 130).map((i) => predictionLine(i)),
    );
    expect(await select('select count(*) from predictions')).toEqual([[130]]);
  });
});
