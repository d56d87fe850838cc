import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { silentLogger, tempDir } from '../../../tests/support/index.ts';
import { addNote } from '../../../tests/support/note-commands.ts';
import { openDatabase } from './index.ts';

const commandsModule = new URL('../../../tests/support/note-commands.ts', import.meta.url);
const script = fileURLToPath(new URL('../../../tests/support/write-until-killed.ts', import.meta.url));

const open = (path: string) =>
  openDatabase({ url: `sqlite:${path}`, commandsModule, logger: silentLogger, threads: false });

/** Starts the writing child and collects its lines; `until` resolves at the first line that it accepts. */
function startWriter(command: string, args: string[]) {
  const lines: string[] = [];
  const watchers: { accepts: (line: string) => boolean; resolve: (line: string) => void }[] = [];
  const child: ChildProcess = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  createInterface({ input: child.stdout as NodeJS.ReadableStream }).on('line', (line) => {
    lines.push(line);
    for (const watcher of watchers) if (watcher.accepts(line)) watcher.resolve(line);
  });
  const closed = new Promise((resolve) => child.once('close', resolve));
  return {
    child,
    closed,
    acknowledged: () =>
      lines.filter((line) => line.startsWith('acknowledged ')).map((line) => line.slice(13)),
    lines,
    until: (accepts: (line: string) => boolean) =>
      Promise.race([
        new Promise<string>((resolve) => {
          watchers.push({ accepts, resolve });
        }),
        closed.then(() => {
          throw new Error(`The child ended early: ${lines.slice(-3).join('; ')}`);
        }),
      ]),
  };
}

async function readIds(path: string): Promise<Set<string>> {
  const database = await open(path);
  const rows = await database.reader.selectFrom('notes').select('id').execute();
  await database.close();
  return new Set(rows.map((row) => row.id as string));
}

describe('SQLite across processes', () => {
  it('loses nothing that was acknowledged when the process is killed, and opens again at once', async () => {
    const path = join(tempDir(), 'notes.db');
    for (let round = 1; round <= 3; round++) {
      const writer = startWriter(process.execPath, [script, path, '10', `round${round}`]);
      let seen = 0;
      await writer.until((line) => line.startsWith('acknowledged ') && ++seen === 200);
      writer.child.kill('SIGKILL');
      await writer.closed;
      const ids = await readIds(path);
      expect(writer.acknowledged().length).toBeGreaterThanOrEqual(200);
      expect(writer.acknowledged().filter((id) => !ids.has(id))).toEqual([]);
    }
  });

  it('tells a second process who has the database open', async () => {
    const path = join(tempDir(), 'notes.db');
    const database = await open(path);
    const second = startWriter(process.execPath, [script, path, '1']);
    await second.closed;
    expect(second.lines).toEqual([
      expect.stringMatching(/^refused The database .*notes\.db is in use by process/),
    ]);
    expect(second.lines[0]).toContain(`process ${process.pid} (`);
    expect(second.lines[0]).toMatch(/since 20\d\d-\d\d-\d\dT/);
    await expect(open(path)).rejects.toMatchObject({ code: 'RESOURCE_CONFLICT' });
    await database.close();
    await (await open(path)).close();
  });

  it('is not fooled by what a dead process left about itself', async () => {
    const path = join(tempDir(), 'notes.db');
    writeFileSync(`${path}.lock.json`, JSON.stringify({ pid: 1, since: 'long ago', command: 'old' }));
    const database = await open(path);
    await expect(open(path)).rejects.toThrow(`process ${process.pid} (`);
    await database.close();
  });

  it.skipIf(process.platform === 'win32')(
    'fails in words when no byte more can be written, keeps what it acknowledged and goes on',
    async () => {
      const path = join(tempDir(), 'notes.db');
      const writer = startWriter('sh', [
        '-c',
        'ulimit -f 4000 && exec "$@"',
        'sh',
        process.execPath,
        script,
        path,
        '20000',
      ]);
      await writer.closed;
      const failed = writer.lines.filter((line) => line.startsWith('failed '));
      expect(failed.length).toBeGreaterThan(0);
      expect(failed[0]).toMatch(/TEMPORARILY_UNAVAILABLE The database cannot store this now: the disk/);
      expect(writer.lines.at(-1)).toBe('closed');
      const ids = await readIds(path);
      expect(writer.acknowledged().filter((id) => !ids.has(id))).toEqual([]);
      expect(failed.filter((line) => ids.has(line.split(' ')[1] as string))).toEqual([]);
      const database = await open(path);
      await database.execute(addNote, { id: 'after' });
      await database.close();
    },
  );
});
