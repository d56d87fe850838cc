import { join } from 'node:path';
import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { createPostgresDatabase, silentLogger, tempDir } from '../../../tests/support/index.ts';
import {
  addNote,
  addNoteAndFail,
  addToCounter,
  answerFunction,
} from '../../../tests/support/note-commands.ts';
import { command, type Database, openDatabase } from './index.ts';

const commandsModule = new URL('../../../tests/support/note-commands.ts', import.meta.url);

describe.each(['sqlite', 'sqlite in threads', 'postgres'])('a database on %s', (kind) => {
  let database: Database;
  let cleanUp = async () => {};

  beforeEach(async (context) => {
    context.skip(kind === 'postgres' && 'problem' in inject('postgresServer'));
    let url = `sqlite:${join(tempDir(), 'notes.db')}`;
    if (kind === 'postgres') {
      const created = await createPostgresDatabase();
      url = created.url;
      cleanUp = created.drop;
    }
    database = await openDatabase({
      url,
      commandsModule,
      logger: silentLogger,
      threads: kind === 'sqlite in threads',
      poolSize: 4,
    });
  });

  afterEach(async () => {
    await database?.close();
    await cleanUp();
  });

  const notes = () =>
    database.reader.selectFrom('notes').select(['id', 'size', 'score']).orderBy('id').execute();

  it('reads what a command wrote once it is answered', async () => {
    expect(await database.execute(addNote, { id: 'a', size: 3, score: 0.5 })).toBe('a');
    expect(await notes()).toEqual([{ id: 'a', size: 3, score: 0.5 }]);
  });

  it('undoes a command that throws, and no other of the same turn', async () => {
    const outcomes = await Promise.allSettled([
      database.execute(addNote, { id: 'a' }),
      database.execute(addNoteAndFail, { id: 'b' }),
      database.execute(addNote, { id: 'a' }),
      database.execute(addNote, { id: 'c' }),
    ]);
    expect(outcomes.map((each) => each.status)).toContain('rejected');
    expect(outcomes[1]).toMatchObject({
      reason: { code: 'RESOURCE_CONFLICT', message: 'Note b is refused', details: { id: 'b' } },
    });
    expect(outcomes[3]?.status).toBe('fulfilled');
    expect((await notes()).map((note) => note.id)).toEqual(['a', 'c']);
  });

  it('counts every one of many concurrent commands', async () => {
    const values = await Promise.all(Array.from({ length: 40 }, () => database.execute(addToCounter, 1)));
    expect(values.sort((a, b) => a - b)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
  });

  it('stores NaN as NULL', async () => {
    await database.execute(addNote, { id: 'a', score: Number.NaN });
    expect(await notes()).toEqual([{ id: 'a', size: null, score: null }]);
  });

  it('keeps integers beyond 2^53 exact, and gives all others as numbers', async () => {
    await database.execute(addNote, { id: 'a', size: 9007199254740993n });
    await database.execute(addNote, { id: 'b', size: 9007199254740991 });
    expect((await notes()).map((note) => note.size)).toEqual([9007199254740993n, 9007199254740991]);
    await database.execute(addToCounter, Number.MAX_SAFE_INTEGER);
    expect(await database.execute(addToCounter, 2)).toBe(9007199254740993n);
  });

  it('answers counts, sums, comparisons and whole divisions alike', async () => {
    await database.execute(addNote, { id: 'a', size: 3 });
    await database.execute(addNote, { id: 'b', size: 4 });
    const row = await database.reader
      .selectFrom('notes')
      .select((eb) => [
        eb.fn.countAll().as('count'),
        eb.fn.sum('size').as('sum'),
        sql`count(*) > 1`.as('many'),
        sql`sum(size) / ${2}`.as('ratio'),
        sql`max(size) / ${2}`.as('half'),
      ])
      .executeTakeFirstOrThrow();
    expect(row).toMatchObject({ count: 2, sum: 7, many: 1, half: 2 });
  });

  it.each([
    ['a boolean', true, 'booleans are stored as 1 and 0, got true'],
    ['a date', new Date(0), 'Date is not stored'],
    ['U+0000', 'a\0b', 'text may not hold U+0000'],
  ])('refuses %s as a parameter', async (_, value, message) => {
    const read = database.reader
      .selectFrom('notes')
      .selectAll()
      .where('id', '=', value as never)
      .execute();
    await expect(read).rejects.toThrow(message);
  });

  it('refuses a write on the reader', async () => {
    await expect(database.reader.insertInto('notes').values({ id: 'a' }).execute()).rejects.toThrow(
      /read-?only/,
    );
    expect(await notes()).toEqual([]);
  });

  it('refuses a command that nobody listed', async () => {
    const unlisted = command('note.unlisted', async () => 1);
    await expect(database.execute(unlisted, {})).rejects.toThrow("No command is named 'note.unlisted'");
  });

  it('answers nothing after it was closed, in words', async () => {
    await database.close();
    await database.close();
    await expect(database.execute(addNote, { id: 'a' })).rejects.toMatchObject({
      code: 'TEMPORARILY_UNAVAILABLE',
      message: 'The database is closed',
    });
  });

  it.skipIf(kind === 'postgres')('fails the command alone whose input or output cannot be sent', async () => {
    const unsendable = { id: 'x', size: (() => 1) as never };
    const outcomes = await Promise.allSettled([
      database.execute(addNote, unsendable),
      database.execute(addNote, { id: 'a' }),
      database.execute(answerFunction, {}),
      database.execute(addNote, { id: 'b' }),
    ]);
    expect(outcomes.map((each) => each.status)).toEqual(['rejected', 'fulfilled', 'rejected', 'fulfilled']);
    expect(outcomes[0]).toMatchObject({
      reason: { message: expect.stringContaining('could not be cloned') },
    });
  });
});

it.each([
  [
    'mysql://ada@here/models',
    "No database is known by 'mysql:': give sqlite:/path/to/tidemill.db or postgres://",
  ],
  ['tidemill.db', "No database is known by 'tidemill.db:'"],
])('refuses the URL %s in words', async (url, message) => {
  await expect(openDatabase({ url, commandsModule, logger: silentLogger })).rejects.toThrow(message);
});

it('refuses a module of commands that is none', async () => {
  const url = `sqlite:${join(tempDir(), 'notes.db')}`;
  const other = new URL('../../../tests/support/index.ts', import.meta.url);
  await expect(
    openDatabase({ url, commandsModule: other, logger: silentLogger, threads: false }),
  ).rejects.toThrow("must export the arrays 'commands' and 'migrations'");
});
