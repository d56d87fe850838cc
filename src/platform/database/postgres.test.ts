import { once } from 'node:events';
import { createServer } from 'node:net';
import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { createPostgresDatabase, silentLogger } from '../../../tests/support/index.ts';
import { addNote, meeting, touchTwo } from '../../../tests/support/note-commands.ts';
import { runStatement } from '../../../tests/support/start-postgres.ts';
import { type Database, openDatabase } from './index.ts';
import { describePostgresError } from './postgres-error.ts';

const commandsModule = new URL('../../../tests/support/note-commands.ts', import.meta.url);
const open = (url: string, timeoutMs?: number) =>
  openDatabase({ url, commandsModule, logger: silentLogger, poolSize: 2, timeoutMs });

describe('a PostgreSQL server that is away', () => {
  it('is named in a clear error when nothing listens', async () => {
    await expect(open('postgres://ada:secret@127.0.0.1:1/models')).rejects.toMatchObject({
      code: 'TEMPORARILY_UNAVAILABLE',
      message: expect.stringMatching(
        /^The PostgreSQL server 127\.0\.0\.1:1\/models cannot do this now \(ECONNREFUSED/,
      ),
    });
  });

  it('is named within the time limit when it accepts and never answers', async () => {
    const silent = createServer().listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as { port: number };
    await expect(open(`postgres://ada@127.0.0.1:${port}/models`, 100)).rejects.toThrow(
      `The PostgreSQL server 127.0.0.1:${port}/models did not answer within 100 ms`,
    );
    silent.close();
  });

  it('is told in words to have been closed', () => {
    const error = new Error('Cannot use a pool after calling end on the pool');
    expect(describePostgresError(error, 'here')).toMatchObject({
      code: 'TEMPORARILY_UNAVAILABLE',
      message: 'The connections to the PostgreSQL server here are closed',
    });
  });

  it('is told apart from an error of the statement', () => {
    const error = Object.assign(new Error('duplicate key'), { code: '23505' });
    expect(describePostgresError(error, 'here')).toBe(error);
    expect(describePostgresError(Object.assign(new Error('stop'), { code: '57P01' }), 'here')).toMatchObject({
      code: 'TEMPORARILY_UNAVAILABLE',
      message: 'The PostgreSQL server here cannot do this now (57P01: stop)',
    });
  });
});

describe.skipIf('problem' in inject('postgresServer'))('a PostgreSQL database', () => {
  let created: Awaited<ReturnType<typeof createPostgresDatabase>>;
  let database: Database;

  beforeEach(async () => {
    created = await createPostgresDatabase();
    database = await open(created.url, 5000);
  });

  afterEach(async () => {
    meeting.between = async () => {};
    await database.close();
    await created.drop();
  });

  it('says how far the migrations came when they take too long, and applies no more of them', async () => {
    const slowly = new URL('../../../tests/support/slow-migrations.ts', import.meta.url);
    const opening = openDatabase({
      url: created.url,
      commandsModule: slowly,
      logger: silentLogger,
      poolSize: 2,
      timeoutMs: 300,
    });
    await expect(opening).rejects.toThrow(
      /^The schema of the PostgreSQL database .* could not be brought up to date within 3000 ms \(the last migration that was applied is '0901-test-quick'\); the server is slow/,
    );
    const migrations = await sql<{ id: string }>`select id from tidemill_migrations order by id`.execute(
      database.reader,
    );
    expect(migrations.rows.map(({ id }) => id)).not.toContain('0902-test-slow');
    expect(migrations.rows.map(({ id }) => id)).toContain('0901-test-quick');
  });

  it('repeats a command that the server chose as the victim of a deadlock', async () => {
    await database.execute(addNote, { id: 'a' });
    await database.execute(addNote, { id: 'b' });
    let arrived = 0;
    const both = Promise.withResolvers<void>();
    meeting.between = () => {
      if (++arrived === 2) both.resolve();
      return both.promise;
    };
    await Promise.all([
      database.execute(touchTwo, ['a', 'b'] as [string, string]),
      database.execute(touchTwo, ['b', 'a'] as [string, string]),
    ]);
    // On a busy machine the server may choose both, one after the other.
    expect(arrived).toBeGreaterThanOrEqual(3);
  });

  it('undoes a command whose caller was told that it took too long', async () => {
    const impatient = await open(created.url, 300);
    await impatient.execute(addNote, { id: 'a' });
    const gate = Promise.withResolvers<void>();
    meeting.between = () => gate.promise;
    await expect(impatient.execute(touchTwo, ['a', 'a'] as [string, string])).rejects.toMatchObject({
      code: 'TEMPORARILY_UNAVAILABLE',
    });
    gate.resolve();
    await impatient.close();
    expect(await database.reader.selectFrom('notes').select('size').execute()).toEqual([{ size: null }]);
  });

  const endConnections = async () => {
    await runStatement(
      created.url,
      'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
    );
  };

  it('notices nothing when the server ended its idle connections', async () => {
    for (let round = 0; round < 5; round++) {
      await Promise.all([1, 2].map((each) => database.execute(addNote, { id: `${round}-${each}` })));
      await endConnections();
    }
    await database.execute(addNote, { id: 'last' });
    expect(await database.reader.selectFrom('notes').select('id').execute()).toHaveLength(11);
  });

  it('says so when the server ended the connection of a running command, and goes on', async () => {
    await database.execute(addNote, { id: 'a' });
    meeting.between = async () => {
      await endConnections();
      meeting.between = async () => {};
    };
    await expect(database.execute(touchTwo, ['a', 'a'] as [string, string])).rejects.toMatchObject({
      code: 'TEMPORARILY_UNAVAILABLE',
    });
    await database.execute(touchTwo, ['a', 'a'] as [string, string]);
    expect(await database.reader.selectFrom('notes').select('size').execute()).toEqual([{ size: 2 }]);
  });

  it('repeats a read whose connection was lost, and tells in words what else stops one', async () => {
    const slow = sql`select pg_sleep(0.3), 1 as answer`.execute(database.reader);
    await database.reader.selectFrom('notes').select('id').execute();
    await endConnections();
    expect((await slow).rows).toMatchObject([{ answer: 1 }]);
    const impatient = await open(created.url, 300);
    await expect(sql`select pg_sleep(60)`.execute(impatient.reader)).rejects.toMatchObject({
      code: 'TEMPORARILY_UNAVAILABLE',
      message: expect.stringContaining('57014: canceling statement due to statement timeout'),
    });
    await impatient.close();
  });
});
