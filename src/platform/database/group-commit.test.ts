import { DatabaseSync } from 'node:sqlite';
import { Kysely, sql } from 'kysely';
import { beforeEach, describe, expect, it } from 'vitest';
import { type Command, command } from './database.ts';
import { createGroupCommit } from './group-commit.ts';
import { createSqliteConnection } from './sqlite-connection.ts';
import { createSqliteDialect } from './sqlite-dialect.ts';

const add = command('add', (tx, id: number) => sql`insert into items values (${id}, null, 'x')`.execute(tx));
const commands: Record<string, Command<any, any>> = {
  add,
  addOrphan: command('addOrphan', (tx, id: number) =>
    sql`insert into items values (${id}, 99, 'x')`.execute(tx),
  ),
  addMuch: command('addMuch', (tx, id: number) =>
    sql`insert into items values (${id}, null, ${'x'.repeat(1e6)})`.execute(tx),
  ),
  commit: command('commit', (tx) => sql`commit`.execute(tx)),
  addThenThrow: command('addThenThrow', async (tx, id: number) => {
    await add.run(tx, id);
    throw new Error('changed its mind');
  }),
};

describe('group commit', () => {
  let db: DatabaseSync;
  let run: (...requests: [name: string, input: number][]) => Promise<string[]>;
  const stored = () =>
    db
      .prepare('select id from items order by id')
      .all()
      .map((row) => row['id']);

  beforeEach(() => {
    db = new DatabaseSync(':memory:');
    db.exec(
      'create table items (id integer primary key, parent integer references items deferrable initially deferred, text text)',
    );
    const connection = createSqliteConnection(db);
    const tx = new Kysely<any>({
      dialect: createSqliteDialect((text, parameters) => connection.run(text, parameters)),
    });
    const runGroup = createGroupCommit({
      connection,
      tx,
      findCommand: (name) => commands[name] as Command<any, any>,
    });
    run = async (...requests) => {
      const answers = await runGroup(requests.map(([name, input], id) => ({ id, name, input })));
      const byId = answers.sort((a, b) => a.id - b.id);
      return byId.map((answer) => answer.error?.message ?? 'ok');
    };
  });

  it('undoes alone what throws', async () => {
    expect(await run(['add', 1], ['addThenThrow', 2], ['add', 1], ['add', 3])).toEqual([
      'ok',
      'changed its mind',
      'UNIQUE constraint failed: items.id',
      'ok',
    ]);
    expect(stored()).toEqual([1, 3]);
  });

  it('acknowledges nothing of a group whose commit fails, and serves the next', async () => {
    const refused = 'FOREIGN KEY constraint failed';
    expect(await run(['add', 1], ['addOrphan', 2], ['addThenThrow', 3])).toEqual([
      refused,
      refused,
      'changed its mind',
    ]);
    expect(stored()).toEqual([]);
    expect(await run(['add', 1])).toEqual(['ok']);
  });

  it('says in words that the disk is full, and keeps the others of the group', async () => {
    db.exec('pragma max_page_count = 20');
    expect(await run(['add', 1], ['addMuch', 2], ['add', 3])).toEqual([
      'ok',
      'The database cannot store this now: the disk is full (database or disk is full). Nothing was changed.',
      'ok',
    ]);
    expect(stored()).toEqual([1, 3]);
  });

  it('gives up on a group in which command after command fills the disk', async () => {
    db.exec('pragma max_page_count = 20');
    const answers = await run(
      ['add', 1],
      ...Array.from({ length: 6 }, (): [string, number] => ['addMuch', 2]),
    );
    expect(answers.filter((answer) => !answer.includes('the disk is full'))).toEqual([]);
    expect(await run(['add', 1])).toEqual(['ok']);
  });

  it('fails the group of a command that ends the transaction under it', async () => {
    const refused = "'commit' ended the transaction that it runs in";
    expect(await run(['commit', 0], ['add', 1])).toEqual([refused, refused]);
    expect(stored()).toEqual([]);
    expect(await run(['add', 1])).toEqual(['ok']);
  });

  it('fails a whole group in words when the file is locked', async () => {
    db.exec('begin');
    expect((await run(['add', 1], ['add', 2]))[1]).toContain('cannot start a transaction');
    expect(await run(['add', 1])).toEqual(['ok']);
  });
});
