import { beforeAll, describe, expect, it } from 'vitest';
import { openTestDatabase } from '../../../../tests/support/index.ts';
import {
  createLogFixture,
  DAY_MS,
  idOf,
  type LogFixture,
  labelLine,
  predictionLine,
  range,
  START,
} from '../../../../tests/support/log-fixture.ts';

let fixture: LogFixture;
beforeAll(async () => {
  fixture = createLogFixture(await openTestDatabase('sqlite'), { memoryLimitMb: 256 });
  await fixture.ship(
    'predictions',
    range(0, 1000).map((i) => predictionLine(i)),
  );
  await fixture.ship(
    'feedback',
    range(0, 500).map((i) => labelLine(i, i % 4 === 0)),
  );
  await fixture.log.compact();
  await fixture.ship(
    'predictions',
    range(1000, 1100).map((i) => predictionLine(i)),
  );
});

describe('a query of a user', () => {
  it("has typed columns of the model's signature, other columns as text, and the label beside", async () => {
    const { ship, log } = fixture;
    await ship('predictions', [
      predictionLine(2002, { f: { date: '2001-05-01', distance: 7, gate: 'B4', label: 'mine' }, k: 'ann' }),
    ]);
    const { columns, rows } = await log.query(
      `select date, distance, destination, gate, feature_label, prediction, label, key, label_timestamp from flights where gate = 'B4'`,
    );
    expect(columns.map(({ type }) => type)).toEqual([
      'TIMESTAMP',
      'DOUBLE',
      'VARCHAR',
      'VARCHAR',
      'VARCHAR',
      'INTEGER',
      'INTEGER',
      'VARCHAR',
      'TIMESTAMP',
    ]);
    expect(rows).toEqual([['2001-05-01T00:00:00.000Z', 7, null, 'B4', 'mine', 1, null, 'ann', null]]);
  });

  it('has the views that are described, column by column', async () => {
    const { ship, log } = createLogFixture(await openTestDatabase('sqlite'));
    await ship('predictions', [
      predictionLine(0, { f: { distance: 1, label: 'mine', Version: 'x' } }),
      predictionLine(1, { m: 'labels', f: { a: 1 }, p: 3 }),
    ]);
    const views = await log.views();
    expect(views.map(({ name }) => name)).toEqual(['predictions', 'labels', 'flights', 'labels_model']);
    for (const { name, columns } of views) {
      const answer = await log.query(`select * from "${name}" limit 0`);
      expect([name, answer.columns]).toEqual([
        name,
        columns.map((column) => ({ name: column.name, type: column.type })),
      ]);
    }
  });

  it('sees a label that came before its prediction as soon as that comes', async () => {
    const { ship, log, select } = createLogFixture(await openTestDatabase('sqlite'));
    const joined = 'select prediction_id, label from flights order by 1';
    await ship('predictions', [predictionLine(0)]);
    await ship('feedback', [labelLine(1, true)]);
    await log.compact();
    expect(await select(joined)).toEqual([[idOf(0), null]]);
    expect(await select('select prediction_id, label from labels')).toEqual([[idOf(1), 'true']]);
    await ship('predictions', [predictionLine(1)]);
    expect(await select(joined)).toEqual([
      [idOf(0), null],
      [idOf(1), 1],
    ]);
  });

  it('sees the latest label of each prediction, and the history in labels', async () => {
    const { ship, select } = fixture;
    await ship('feedback', [
      labelLine(1000, true, { t: START + 3 * DAY_MS }),
      labelLine(1000, false, { t: START + 2 * DAY_MS }),
      labelLine(1001, false, { t: START, at: 5 }),
      labelLine(1001, true, { t: START, at: 6 }),
      labelLine(1002, false, { t: START, at: 5 }),
      labelLine(1002, true, { t: START, at: 5 }),
    ]);
    const ids = [1000, 1001, 1002].map((i) => `'${idOf(i)}'`).join(', ');
    expect(
      await select(`select label from flights where prediction_id in (${ids}) order by prediction_id`),
    ).toEqual([[1], [1], [1]]);
    expect(
      await select(
        `select label, is_latest from labels where prediction_id = '${idOf(1000)}' order by timestamp`,
      ),
    ).toEqual([
      ['false', false],
      ['true', true],
    ]);
    expect(await select(`select label from predictions where prediction_id = '${idOf(1001)}'`)).toEqual([
      ['true'],
    ]);
  });

  it('answers every type as JSON has it', async () => {
    const [row] = await fixture.select(
      `select 1::BIGINT, 9007199254740993, 1.5::DECIMAL(4,2), 'x', true, NULL, [1, 2], {'a': 1}, date '2001-04-01',
         timestamp '2001-04-01 10:00:00', 'nan'::DOUBLE, '01890000-0000-7000-8000-000000000000'::UUID,
         12345678901234567890.5::DECIMAL(38,1), map {'k': 1}, '\\xAA'::BLOB`,
    );
    expect(row).toEqual([
      1,
      '9007199254740993',
      1.5,
      'x',
      true,
      null,
      [1, 2],
      { a: 1 },
      '2001-04-01',
      '2001-04-01T10:00:00.000Z',
      'NaN',
      '01890000-0000-7000-8000-000000000000',
      '12345678901234567890.5',
      [{ key: 'k', value: 1 }],
      '\\xAA',
    ]);
  });

  it('says when there are more rows than it may answer', async () => {
    const { log } = fixture;
    expect(await log.query('select * from range(10)', { limitRows: 3 })).toMatchObject({
      rows: [[0], [1], [2]],
      truncated: true,
    });
    expect((await log.query('select * from range(3)', { limitRows: 3 })).truncated).toBe(false);
    await expect(log.query('select 1', { limitRows: 0 })).rejects.toThrow('limit_rows');
  });

  it('names what is wrong with it, and which views there are', async () => {
    await expect(fixture.log.query('selct 1')).rejects.toThrow('syntax error');
    await expect(fixture.log.query('')).rejects.toThrow('empty');
    for (const sql of [';', ' ;; ', '-- nothing', '/* nothing */'])
      await expect(fixture.log.query(sql)).rejects.toMatchObject({
        code: 'INVALID_PARAMETER_VALUE',
        message: 'The query holds no statement, only comments or semicolons; give a SELECT',
      });
    await expect(fixture.log.query('select * from flihgts')).rejects.toThrow(
      /flihgts does not exist.*There are: predictions, labels, flights/,
    );
    await expect(fixture.log.query('select nothing from flights')).rejects.toThrow('nothing');
  });

  it('has an empty view of a registered model without rows', async () => {
    const { select } = createLogFixture(await openTestDatabase('sqlite'));
    expect(await select('select avg(distance), count(*) from flights')).toEqual([[null, 0]]);
    expect(await select('select count(*) from predictions')).toEqual([[0]]);
  });
});

describe('several queries at once', () => {
  it('see one state each, while segments arrive and files change', async () => {
    const { ship, select, log } = createLogFixture(await openTestDatabase('sqlite'));
    const counts: number[] = [];
    const shipping = (async () => {
      for (let k = 0; k < 12; k++) {
        await ship(
          'predictions',
          range(k * 10, k * 10 + 10).map((i) => predictionLine(i)),
        );
        if (k % 4 === 3) await log.compact();
      }
    })();
    const asking = (async () => {
      for (let k = 0; k < 15; k++) {
        const [[rows, ids]] = (await select(
          'select count(*), count(distinct prediction_id) from predictions',
        )) as [[number, number]];
        expect(rows).toBe(ids);
        counts.push(rows);
      }
    })();
    await Promise.all([shipping, asking]);
    expect(counts).toEqual(counts.toSorted((a, b) => a - b));
    expect(counts.every((count) => count % 10 === 0)).toBe(true);
    expect(await select('select count(*) from predictions')).toEqual([[120]]);
  });
});
