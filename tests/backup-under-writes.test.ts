import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { createLocalArtifactStore } from '../src/artifacts/index.ts';
import { backupPlatform, restorePlatform } from '../src/backup-platform.ts';
import { openDatabase } from '../src/platform/index.ts';
import { silentLogger, tempDir } from './support/index.ts';
import { addNote } from './support/note-commands.ts';

const commandsModule = new URL('./support/note-commands.ts', import.meta.url);

/** A platform as it works: artifacts are put first, then a row names them. */
async function openPlatform(dataDir: string) {
  const database = await openDatabase({
    url: `sqlite:${join(dataDir, 'tidemill.db')}`,
    commandsModule,
    logger: silentLogger,
  });
  const artifacts = createLocalArtifactStore({ root: join(dataDir, 'artifacts') });
  return { database, artifacts };
}

it('a backup taken under writes holds all that was acknowledged before, and every artifact that it names', async () => {
  const dataDir = tempDir();
  const { database, artifacts } = await openPlatform(dataDir);
  const acknowledged: string[] = [];
  const running = new AbortController();
  const write = async (loop: number) => {
    for (let i = 0; !running.signal.aborted; i++) {
      const id = `${loop}-${i}`;
      await artifacts.put(`notes/${id}`, randomBytes(1000));
      await database.execute(addNote, { id, size: 1000 });
      acknowledged.push(id);
      if (acknowledged.length === 100) started.resolve();
    }
  };
  const started = Promise.withResolvers<void>();
  const writers = Promise.all([0, 1, 2, 3].map(write));
  await started.promise;

  const before = [...acknowledged];
  const destination = join(tempDir(), 'backup');
  await backupPlatform({ dataDir, destination, version: '0.1.0', now: 0 });
  running.abort();
  await writers;
  await database.close();
  expect(acknowledged.length).toBeGreaterThan(before.length);

  const restoredDir = join(tempDir(), 'restored');
  await restorePlatform({ source: destination, dataDir: restoredDir });
  const restored = await openPlatform(restoredDir);
  const rows = await restored.database.reader.selectFrom('notes').select('id').execute();
  const ids = rows.map((row) => row.id as string);
  expect(before.filter((id) => !ids.includes(id))).toEqual([]);
  const sizes = await Promise.all(
    ids.map(async (id) => (await restored.artifacts.read(`notes/${id}`)).length),
  );
  expect(sizes.every((size) => size === 1000)).toBe(true);
  await restored.database.close();
});

it('every key of a backup has its content, however much is overwritten and deleted meanwhile', async () => {
  const dataDir = tempDir();
  const { database, artifacts } = await openPlatform(dataDir);
  const keys = Array.from({ length: 150 }, (_, i) => `runs/${i % 10}/${i}`);
  for (const key of keys) await artifacts.put(key, randomBytes(2000));
  await artifacts.put('kept', Buffer.from('kept'));

  const running = new AbortController();
  let changes = 0;
  const write = async (loop: number) => {
    for (let i = loop; !running.signal.aborted; i += 7) {
      const key = keys[(i * 31) % keys.length] as string;
      if (i % 5 === 0) await artifacts.delete(key);
      else await artifacts.put(key, randomBytes(2000));
      // Replaced contents go at once, instead of a hundred together: what the copy reads next may be gone.
      if (i % 3 === 0) await artifacts.collectGarbage();
      changes++;
      await turn();
    }
  };
  const writers = Promise.all([0, 1, 2, 3].map(write));
  const destinations = [1, 2, 3].map((round) => join(tempDir(), `backup-${round}`));
  for (const destination of destinations) {
    await backupPlatform({ dataDir, destination, version: '0.1.0', now: 0 });
  }
  running.abort();
  await writers;
  await database.close();
  expect(changes).toBeGreaterThan(20);

  for (const destination of destinations) {
    const restoredDir = join(tempDir(), 'restored');
    await restorePlatform({ source: destination, dataDir: restoredDir });
    const restored = createLocalArtifactStore({ root: join(restoredDir, 'artifacts') });
    expect((await restored.read('kept')).toString()).toBe('kept');
    let found = 0;
    for (const folder of await restored.list('runs')) {
      for (const { name } of await restored.list(`runs/${folder.name}`)) {
        expect(await restored.read(`runs/${folder.name}/${name}`)).toHaveLength(2000);
        found++;
      }
    }
    expect(found).toBeGreaterThan(0);
    expect(await restored.collectGarbage()).toBe(0);
  }
});

it.skipIf(process.getuid?.() !== 0)('works for a user who is not root, though contents are read-only', () => {
  const folder = tempDir();
  chmodSync(folder, 0o777);
  const at = (path: string) => JSON.stringify(new URL(`../src/${path}`, import.meta.url).href);
  const script = `
    import { DatabaseSync } from 'node:sqlite';
    import { createLocalArtifactStore } from ${at('artifacts/index.ts')};
    import { backupPlatform, restorePlatform } from ${at('backup-platform.ts')};
    process.setgid(65534);
    process.setuid(65534);
    await createLocalArtifactStore({ root: 'data/artifacts' }).put('key', Buffer.from('content'));
    new DatabaseSync('data/tidemill.db').exec('create table runs (id integer)');
    await backupPlatform({ dataDir: 'data', destination: 'backup', version: '0.1.0', now: 0 });
    await restorePlatform({ source: 'backup', dataDir: 'restored' });
  `;
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: folder,
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  expect(status).toBe(0);
});
