import { writeSync } from 'node:fs';
import { openDatabase } from '../../src/platform/database/index.ts';
import { addNote } from './note-commands.ts';
import { silentLogger } from './silent-logger.ts';

/**
 * A child process for tests: `node write-until-killed.ts <file> <bytes of a note> <prefix>` writes notes from 16 loops
 * at once and prints `acknowledged <id>` for each, until it is killed or a note fails (`failed <id> <code> <message>`).
 */
const [path, size, prefix = 'note'] = process.argv.slice(2);
const database = await openDatabase({
  url: `sqlite:${path}`,
  commandsModule: new URL('./note-commands.ts', import.meta.url),
  logger: silentLogger,
}).catch((error: Error) => {
  writeSync(1, `refused ${error.message}\n`);
  process.exit(1);
});
writeSync(1, 'open\n');

let failed = false;
async function writeNotes(loop: number): Promise<void> {
  for (let i = 0; !failed; i++) {
    const id = `${prefix}-${loop}-${i}`;
    try {
      await database.execute(addNote, { id, text: 'x'.repeat(Number(size)) });
      writeSync(1, `acknowledged ${id}\n`);
    } catch (error) {
      failed = true;
      const { code, message } = error as { code?: string; message: string };
      writeSync(1, `failed ${id} ${code} ${message}\n`);
    }
  }
}
await Promise.all(Array.from({ length: 16 }, (_, loop) => writeNotes(loop)));
// The writer goes on: what needs no new pages still works.
await database.reader.selectFrom('notes').select('id').limit(1).execute();
await database.close();
writeSync(1, 'closed\n');
