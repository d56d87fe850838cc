import { command, type Migration } from '../../src/platform/database/index.ts';
import { ApiError } from '../../src/platform/errors.ts';

/** A commands module for the tests of the database itself: notes with an exact size and a score. */
interface Note {
  id: string;
  size?: number | bigint | null;
  score?: number | null;
  text?: string;
}

export const addNote = command('note.add', async (tx, note: Note) => {
  await tx
    .insertInto('notes')
    .values({ id: note.id, size: note.size ?? null, score: note.score ?? null, text: note.text ?? null })
    .execute();
  return note.id;
});

/** Writes, then fails: nothing of it may remain. */
export const addNoteAndFail = command('note.addAndFail', async (tx, note: Note) => {
  await addNote.run(tx, note);
  throw new ApiError('RESOURCE_CONFLICT', `Note ${note.id} is refused`, { id: note.id });
});

export const addToCounter = command('counter.add', async (tx, by: number) => {
  const row = await tx
    .updateTable('counter')
    .set((eb) => ({ value: eb('value', '+', by) }))
    .returning('value')
    .executeTakeFirstOrThrow();
  return row['value'] as number;
});

/** Changes two notes, meeting others in between (only where commands run in the test's own thread). */
export const touchTwo = command('note.touchTwo', async (tx, ids: [string, string]) => {
  await tx.updateTable('notes').set({ size: 1 }).where('id', '=', ids[0]).execute();
  await meeting.between();
  await tx.updateTable('notes').set({ size: 2 }).where('id', '=', ids[1]).execute();
});
export const meeting = { between: async () => {} };

export const answerFunction = command('note.answerFunction', async () => () => 1);

export const commands = [addNote, addNoteAndFail, addToCounter, touchTwo, answerFunction];

export const migrations: Migration[] = [
  {
    id: '0001-notes',
    async up(tx) {
      await tx.schema
        .createTable('notes')
        .addColumn('id', 'text', (column) => column.primaryKey())
        .addColumn('size', 'bigint')
        .addColumn('score', 'double precision')
        .addColumn('text', 'text')
        .execute();
      await tx.schema.createTable('counter').addColumn('value', 'bigint').execute();
      await tx.insertInto('counter').values({ value: 0 }).execute();
    },
  },
];
