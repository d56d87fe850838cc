import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { Kysely, sql } from 'kysely';
import { beforeEach, describe, expect, it } from 'vitest';
import { createPostgresDatabase, silentLogger, tempDir } from '../../../tests/support/index.ts';
import type { Migration } from './database.ts';
import { openDatabase } from './index.ts';
import { migrate } from './migrate.ts';
import { createSqliteConnection } from './sqlite-connection.ts';
import { createSqliteDialect } from './sqlite-dialect.ts';

const creates = (id: string, table: string): Migration => ({
  id,
  up: async (tx) => {
    await sql`create table ${sql.table(table)} (id integer)`.execute(tx);
  },
});
const first = creates('0001-a-first', 'first');
const second = creates('0002-b-second', 'second');

describe('migrations', () => {
  let db: DatabaseSync;
  let run: (...migrations: Migration[]) => ReturnType<typeof migrate>;
  const tables = () =>
    db
      .prepare(`select name from sqlite_schema where type = 'table' order by name`)
      .all()
      .map((row) => row['name']);

  beforeEach(() => {
    db = new DatabaseSync(':memory:');
    const connection = createSqliteConnection(db);
    const tx = new Kysely<any>({
      dialect: createSqliteDialect((text, parameters) => connection.run(text, parameters)),
    });
    run = (...migrations) =>
      migrate({
        db: tx,
        dialect: 'sqlite',
        migrations,
        now: () => 0,
        where: 'The data folder /data',
        inTransaction: async (body) => {
          db.exec('begin');
          try {
            await body(tx);
            db.exec('commit');
          } catch (error) {
            db.exec('rollback');
            throw error;
          }
        },
      });
  });

  it('run once each, in the order of their ids', async () => {
    expect((await run(second, first)).applied).toEqual(['0001-a-first', '0002-b-second']);
    const again = await run(second, first);
    expect(again.applied).toEqual([]);
    expect(await again.findEdited()).toEqual([]);
    expect(tables()).toEqual(['first', 'second', 'tidemill_migrations']);
  });

  it('leave no trace of one that fails, and keep those before it', async () => {
    const failing: Migration = {
      id: '0003-c-failing',
      up: async (tx) => {
        await second.up(tx, 'sqlite');
        throw new Error('no');
      },
    };
    await expect(run(first, failing)).rejects.toThrow('no');
    expect(tables()).toEqual(['first', 'tidemill_migrations']);
    expect(await run(first, second)).toMatchObject({ applied: ['0002-b-second'] });
  });

  it('refuse a database that a newer Tidemill made', async () => {
    await run(first, second);
    await expect(run(first)).rejects.toThrow(
      "The data folder /data was made by a newer Tidemill: its schema is at '0002-b-second', this version knows up to '0001-a-first'. Run that newer version",
    );
  });

  it('refuse a database that carries one which was renamed or removed', async () => {
    await run(first, second);
    await expect(run(second)).rejects.toThrow(
      "carries the migration '0001-a-first', which this Tidemill does not have",
    );
  });

  it('tell when one was edited after it ran', async () => {
    await run(first, second);
    const edited = creates('0001-a-first', 'first_of_all');
    const { applied, findEdited } = await run(edited, second);
    expect(applied).toEqual([]);
    expect(await findEdited()).toEqual(['0001-a-first']);
  });
});

describe('two servers that start at once on one PostgreSQL database', () => {
  it('migrate it once', async (context) => {
    const created = await createPostgresDatabase().catch(() => context.skip('no PostgreSQL here'));
    const open = () =>
      openDatabase({
        url: created.url,
        commandsModule: new URL('../../commands.ts', import.meta.url),
        logger: silentLogger,
        poolSize: 2,
      });
    const both = await Promise.all([open(), open()]);
    const rows = await both[0].reader.selectFrom('tidemill_migrations').select('id').execute();
    expect(new Set(rows.map((row) => row.id)).size).toBe(rows.length);
    await Promise.all(both.map((database) => database.close()));
    await created.drop();
  });
});

describe('a data folder of a newer Tidemill', () => {
  it('is refused when it is opened, and released again', async () => {
    const path = join(tempDir(), 'tidemill.db');
    const open = (module: string) =>
      openDatabase({
        url: `sqlite:${path}`,
        commandsModule: new URL(`../../../tests/support/${module}`, import.meta.url),
        logger: silentLogger,
        threads: false,
      });
    await (await open('note-commands.ts')).close();
    const db = new DatabaseSync(path);
    db.exec(`insert into tidemill_migrations values ('9999-z-future', '', 0)`);
    db.close();
    for (let i = 0; i < 2; i++)
      await expect(open('note-commands.ts')).rejects.toThrow(
        /made by a newer Tidemill: its schema is at '9999-z-future'/,
      );
  });
});
