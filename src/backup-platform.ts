import { createHash } from 'node:crypto';
import { createReadStream, existsSync } from 'node:fs';
import { constants, copyFile, mkdir, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import { ApiError } from './platform/index.ts';

const manifestSchema = z.object({
  format: z.literal(1),
  tidemill: z.string(),
  created_at: z.int(),
  database: z.object({ sha256: z.string(), size_bytes: z.int() }),
  artifacts: z.object({ files: z.int(), size_bytes: z.int() }),
});

export type BackupManifest = z.infer<typeof manifestSchema>;

/** What an interrupted copy leaves behind carries this ending, so that it is never taken for a backup. */
const UNFINISHED = '.unfinished';

/**
 * Copies an embedded platform into the new folder `destination` while it works: the database as it stands at one
 * moment, then the artifacts, which are written before the database names them and never change. The folder appears
 * under its name only when it is whole and on disk.
 *
 * @throws ApiError when there is no embedded platform in `dataDir`, or `destination` exists.
 */
export async function backupPlatform({
  dataDir,
  destination,
  version,
  now,
  onProgress,
}: {
  dataDir: string;
  destination: string;
  version: string;
  now: number;
  onProgress?: (done: { files: number; sizeBytes: number }) => void;
}): Promise<BackupManifest> {
  const source = join(dataDir, 'tidemill.db');
  if (!existsSync(source)) {
    throw new ApiError(
      'RESOURCE_DOES_NOT_EXIST',
      `${dataDir} holds no embedded platform: no tidemill.db in it`,
    );
  }
  refuseExisting(destination);
  refuseInside(destination, join(dataDir, 'artifacts'));
  const draft = `${destination}${UNFINISHED}`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { recursive: true });

  const copy = join(draft, 'tidemill.db');
  const live = new DatabaseSync(source);
  try {
    // One step: the copy is of one moment, and readers hold up no writer.
    await backup(live, copy, { rate: 2_147_483_647 });
  } finally {
    live.close();
  }
  await syncPath(copy);
  const artifacts = await copyArtifacts(join(dataDir, 'artifacts'), join(draft, 'artifacts'), onProgress);
  const manifest: BackupManifest = {
    format: 1,
    tidemill: version,
    created_at: now,
    database: await describeFile(copy),
    artifacts,
  };
  await writeFile(join(draft, 'backup.json'), `${JSON.stringify(manifest, null, 2)}\n`, { flush: true });
  await publish(draft, destination);
  return manifest;
}

/**
 * Lays a backup out as the data folder `dataDir`, which must not hold a platform yet. Checks the digests of the database
 * and of every content, and the database's own consistency first; desired state and models of the model server come back by themselves.
 *
 * @throws ApiError when `source` is no whole backup, is damaged, or `dataDir` is taken.
 */
export async function restorePlatform({
  source,
  dataDir,
  onProgress,
}: {
  source: string;
  dataDir: string;
  onProgress?: (done: { files: number; sizeBytes: number }) => void;
}): Promise<BackupManifest> {
  const manifest = await readManifest(source);
  const database = join(source, 'tidemill.db');
  const { sha256 } = await describeFile(database);
  if (sha256 !== manifest.database.sha256) {
    throw new ApiError('INVALID_STATE', `${database} is damaged: its sha256 is not the one in backup.json`);
  }
  if (existsSync(join(dataDir, 'tidemill.db'))) {
    throw new ApiError(
      'RESOURCE_ALREADY_EXISTS',
      `${dataDir} holds a platform already: restore into another folder`,
    );
  }
  const isThere = existsSync(dataDir);
  if (isThere && (await readdir(dataDir)).length > 0) {
    throw new ApiError('RESOURCE_ALREADY_EXISTS', `${dataDir} is not empty: restore into a new folder`);
  }
  const draft = `${dataDir}${UNFINISHED}`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { recursive: true });
  await copyFile(database, join(draft, 'tidemill.db'), constants.COPYFILE_FICLONE);
  await syncPath(join(draft, 'tidemill.db'));
  const artifacts = await copyArtifacts(join(source, 'artifacts'), join(draft, 'artifacts'), onProgress);
  if (
    artifacts.files !== manifest.artifacts.files ||
    artifacts.size_bytes !== manifest.artifacts.size_bytes
  ) {
    await rm(draft, { recursive: true });
    throw new ApiError(
      'INVALID_STATE',
      `${source} is damaged: backup.json counts ${manifest.artifacts.files} artifact files with ${manifest.artifacts.size_bytes} bytes, and there are ${artifacts.files} with ${artifacts.size_bytes}`,
    );
  }
  const damaged = await findDamagedContent(join(draft, 'artifacts/objects/sha256'));
  if (damaged !== undefined) {
    await rm(draft, { recursive: true });
    throw new ApiError(
      'INVALID_STATE',
      `${source} is damaged: the artifact content ${damaged} is not what it was`,
    );
  }
  checkConsistency(join(draft, 'tidemill.db'));
  if (isThere) await rm(dataDir, { recursive: true });
  await publish(draft, dataDir);
  return manifest;
}

async function readManifest(source: string): Promise<BackupManifest> {
  const text = await readFile(join(source, 'backup.json'), 'utf8').catch(() => undefined);
  if (text === undefined) {
    throw new ApiError('RESOURCE_DOES_NOT_EXIST', `${source} is no backup: no backup.json in it`);
  }
  const manifest = manifestSchema.safeParse(JSON.parse(text));
  if (!manifest.success) {
    throw new ApiError('INVALID_STATE', `${source}/backup.json is of a form that this version does not know`);
  }
  return manifest.data;
}

/** Contents are named by their sha256, `ab/<rest>`: gives the first that does not match its name. */
async function findDamagedContent(folder: string): Promise<string | undefined> {
  if (!existsSync(folder)) return undefined;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    const { sha256 } = await describeFile(path);
    if (sha256 !== relative(folder, path).replaceAll(sep, '')) return relative(folder, path);
  }
  return undefined;
}

function checkConsistency(path: string): void {
  const database = new DatabaseSync(path);
  try {
    const [row] = database.prepare('pragma integrity_check').all();
    const answer = row?.['integrity_check'];
    if (answer !== 'ok')
      throw new ApiError('INVALID_STATE', `the database in the backup is damaged: ${String(answer)}`);
  } finally {
    database.close();
  }
}

/**
 * Copies the store's files, the pointers before what they point at: an upload during the copy then adds content
 * that nothing names yet, and no pointer without content.
 */
async function copyArtifacts(
  from: string,
  to: string,
  onProgress?: (done: { files: number; sizeBytes: number }) => void,
): Promise<{ files: number; size_bytes: number }> {
  const done = { files: 0, sizeBytes: 0 };
  await mkdir(to, { recursive: true });
  for (const part of ['refs', 'objects']) {
    if (!existsSync(join(from, part))) continue;
    const entries = await readdir(join(from, part), { recursive: true, withFileTypes: true });
    for (const entry of entries) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      const target = join(to, relative(from, path));
      await mkdir(dirname(target), { recursive: true });
      try {
        await copyFile(path, target, constants.COPYFILE_FICLONE);
      } catch (error) {
        // Temporary files of uploads in flight come and go, and so may a pointer that is being deleted.
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') continue;
        throw error;
      }
      done.files += 1;
      done.sizeBytes += await syncPath(target);
      onProgress?.(done);
    }
  }
  return { files: done.files, size_bytes: done.sizeBytes };
}

/** Brings a file to disk and answers its size. */
async function syncPath(path: string): Promise<number> {
  const file = await open(path, 'r+');
  try {
    await file.sync();
    return (await file.stat()).size;
  } finally {
    await file.close();
  }
}

async function publish(draft: string, destination: string): Promise<void> {
  await rename(draft, destination);
  if (process.platform === 'win32') return;
  const folder = await open(dirname(resolve(destination)), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function describeFile(path: string): Promise<{ sha256: string; size_bytes: number }> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    hash.update(chunk);
    sizeBytes += chunk.length;
  }
  return { sha256: hash.digest('hex'), size_bytes: sizeBytes };
}

function refuseExisting(destination: string): void {
  if (existsSync(destination)) {
    throw new ApiError('RESOURCE_ALREADY_EXISTS', `${destination} exists: name a new folder for the backup`);
  }
}

function refuseInside(destination: string, folder: string): void {
  if (!relative(folder, destination).startsWith('..')) {
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `${destination} lies inside ${folder}, which is being copied`,
    );
  }
}
