import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
  writeFileSync(join(dataDir, 'artifacts/refs/1/model.onnx'), '{"sha256":"abcd"}');
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
    expect(manifest.artifacts).toEqual({ files: 2, size_bytes: 24 });
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
      'is not what it was',
    );
    rmSync(join(destination, content));
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
});
