import { sql } from 'kysely';
import { expect, it } from 'vitest';
import { describeDatabases, tamperWith } from '../../../tests/support/index.ts';
import { sortedText } from './sorted-text.ts';

describeDatabases('text', (openTestDatabase, dialect) => {
  it('of a sorted column sorts by code point', async () => {
    const database = await openTestDatabase();
    const type = sortedText(dialect).compile(database.reader).sql;
    await tamperWith(database, `create table words (word ${type})`);
    await tamperWith(database, `insert into words values ('b'), ('B'), ('a'), ('Z'), ('é'), ('_')`);
    const rows = await database.reader.selectFrom('words').select('word').orderBy('word').execute();
    expect(rows.map((row) => row.word)).toEqual(['B', 'Z', '_', 'a', 'b', 'é']);
  });

  it('differs between the databases under LIKE, which stores must not lean on', async () => {
    const database = await openTestDatabase();
    const row = await sql`select case when ${'Auc'} like ${'a%'} then 1 else 0 end as matches`.execute(
      database.reader,
    );
    expect(row.rows).toEqual([{ matches: dialect === 'sqlite' ? 1 : 0 }]);
  });
});
