import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { beforeEach, describe, expect, it } from 'vitest';
import { tempDir } from '../tests/support/index.ts';
import { backupPlatform, restorePlatform } from './backup-platform.ts';

const sha256 = createHash('sha256').update('content').digest('hex');
const content = `artifacts/objects/sha256/${sha256.slice(0, 2)}/${sha256.slice(2)}`;
let dataDir: string;
let destination: string;

beforeEach(() => {
  const root = tempDir();
  dataDir = join(root, 'data');
  destination = join(root, 'backup');
  mkdirSync(dirname(join(dataDir, content)), { recursive: true });
  mkdirSync(join(dataDir, 'artifacts/refs/1'), { recursive: true });
  mkdirSync(join(dataDir, 'serving'), { recursive: true });
  writeFileSync(join(dataDir, content), 'content');
  writeFileSync(join(dataDir, 'artifacts/refs/1/model.onnx'), JSON.stringify({ sha256, size: 7 }));
  writeFileSync(join(dataDir, 'serving/cached'), 'again');
});

/** A database as the platform keeps it, open and with committed rows still in its write-ahead log. */
function openLive(): DatabaseSync {
  const database = new DatabaseSync(join(dataDir, 'tidemill.db'));
  database.exec(
    'pragma journal_mode = wal; create table runs (id integer); insert into runs values (1), (2)',
  );
  return database;
}

const options = { version: '0.1.0', now: 1_700_000_000_000 };

describe('backup and restore', () => {
  it('copies a live platform and lays it out again, the write-ahead log included, the cache not', async () => {
    using live = openLive();
    const manifest = await backupPlatform({ dataDir, destination, ...options });
    live.exec('insert into runs values (3)');
    expect(manifest.artifacts).toEqual({ files: 2, size_bytes: 93 });
    const restored = join(tempDir(), 'restored');
    expect(await restorePlatform({ source: destination, dataDir: restored })).toEqual(manifest);
    using copy = new DatabaseSync(join(restored, 'tidemill.db'));
    expect(copy.prepare('select count(*) as rows from runs').get()).toEqual({ rows: 2 });
    expect(readFileSync(join(restored, content), 'utf8')).toBe('content');
    expect(() => readFileSync(join(restored, 'serving/cached'))).toThrow('ENOENT');
  });

  it('refuses a folder without a platform, a destination that exists, and one inside what it copies', async () => {
    await expect(backupPlatform({ dataDir, destination, ...options })).rejects.toThrow(
      'no tidemill.db in it',
    );
    using _live = openLive();
    await expect(backupPlatform({ dataDir, destination: dataDir, ...options })).rejects.toThrow('exists');
    const inside = join(dataDir, 'artifacts/backup');
    await expect(backupPlatform({ dataDir, destination: inside, ...options })).rejects.toThrow('lies inside');
  });

  it('refuses a damaged database, a missing artifact, a folder that is no backup, and a taken data folder', async () => {
    using _live = openLive();
    await backupPlatform({ dataDir, destination, ...options });
    const target = join(tempDir(), 'restored');
    await expect(restorePlatform({ source: dataDir, dataDir: target })).rejects.toThrow('is no backup');
    await expect(restorePlatform({ source: destination, dataDir })).rejects.toThrow(
      'holds a platform already',
    );
    const busy = tempDir();
    writeFileSync(join(busy, 'notes.txt'), '');
    await expect(restorePlatform({ source: destination, dataDir: busy })).rejects.toThrow('is not empty');
    writeFileSync(join(destination, content), 'c0ntent');
    await expect(restorePlatform({ source: destination, dataDir: target })).rejects.toThrow(
      /Artifact 1\/model\.onnx is damaged: its content .* is not what it was/,
    );
    rmSync(join(destination, content));
    await expect(restorePlatform({ source: destination, dataDir: target })).rejects.toThrow(
      `Artifact 1/model.onnx is damaged: its content ${sha256} is missing`,
    );
    rmSync(join(destination, 'artifacts/refs/1/model.onnx'));
    await expect(restorePlatform({ source: destination, dataDir: target })).rejects.toThrow(
      'counts 2 artifact files',
    );
    const database = readFileSync(join(destination, 'tidemill.db'));
    database[database.length - 1] = 1;
    writeFileSync(join(destination, 'tidemill.db'), database);
    await expect(restorePlatform({ source: destination, dataDir: target })).rejects.toThrow(
      'its sha256 is not',
    );
  });

  it('refuses a backup.json that is cut off or of another form, in words', async () => {
    using _live = openLive();
    await backupPlatform({ dataDir, destination, ...options });
    const target = join(tempDir(), 'restored');
    const manifest = join(destination, 'backup.json');
    writeFileSync(manifest, readFileSync(manifest, 'utf8').slice(0, 20));
    const cutOff = restorePlatform({ source: destination, dataDir: target });
    await expect(cutOff).rejects.toMatchObject({
      code: 'INVALID_STATE',
      message: expect.stringContaining(`${manifest} is damaged: it is no JSON`),
    });
    writeFileSync(manifest, '{"format":2}');
    await expect(restorePlatform({ source: destination, dataDir: target })).rejects.toThrow(
      'of a form that this version does not know',
    );
  });

  it('refuses to back up a key without its content, with half of it, or with an unreadable entry', async () => {
    using _live = openLive();
    const pointer = join(dataDir, 'artifacts/refs/1/model.onnx');
    const attempt = () => backupPlatform({ dataDir, destination, ...options });
    writeFileSync(pointer, JSON.stringify({ sha256, size: 8 }));
    await expect(attempt()).rejects.toThrow(
      '1/model.onnx is damaged: its content has 7 bytes, 8 were stored',
    );
    writeFileSync(pointer, '{"sha256":"../../x","size":1}');
    await expect(attempt()).rejects.toThrow('1/model.onnx is damaged: its entry is unreadable');
    writeFileSync(pointer, JSON.stringify({ sha256: 'f'.repeat(64), size: 1 }));
    await expect(attempt()).rejects.toMatchObject({
      code: 'INVALID_STATE',
      message: `Artifact 1/model.onnx is damaged: its content ${'f'.repeat(64)} is missing`,
    });
    expect(readdirSync(dirname(destination))).toEqual(['data']);
  });

  it('leaves no draft after a failed check of a restore', async () => {
    using _live = openLive();
    await backupPlatform({ dataDir, destination, ...options });
    const target = join(tempDir(), 'new/restored');
    const damaged = readFileSync(join(destination, 'tidemill.db')).fill(1, 100, 4000);
    writeFileSync(join(destination, 'tidemill.db'), damaged);
    const manifest = JSON.parse(readFileSync(join(destination, 'backup.json'), 'utf8'));
    manifest.database.sha256 = createHash('sha256').update(damaged).digest('hex');
    writeFileSync(join(destination, 'backup.json'), JSON.stringify(manifest));
    await expect(restorePlatform({ source: destination, dataDir: target })).rejects.toThrow(
      'the database in the backup is damaged',
    );
    expect(readdirSync(dirname(target))).toEqual([]);
  });

  it('clears the draft of an interrupted copy, and touches no folder of the user with that name', async () => {
    using _live = openLive();
    const draft = `${destination}.unfinished`;
    mkdirSync(draft);
    writeFileSync(join(draft, 'thesis.txt'), 'mine');
    await expect(backupPlatform({ dataDir, destination, ...options })).rejects.toThrow(
      `${draft} is in the way`,
    );
    expect(readFileSync(join(draft, 'thesis.txt'), 'utf8')).toBe('mine');
    rmSync(join(draft, 'thesis.txt'));
    writeFileSync(join(draft, '.tidemill-draft'), '');
    writeFileSync(join(draft, 'half'), '');
    await backupPlatform({ dataDir, destination, ...options });
    expect(existsSync(draft)).toBe(false);
    expect(readdirSync(destination).sort()).toEqual(['artifacts', 'backup.json', 'tidemill.db']);
  });
});
