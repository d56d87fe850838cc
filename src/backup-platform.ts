import { existsSync } from 'node:fs';
import {
  constants,
  copyFile,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
  writeFile,
} from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { z } from 'zod';
import {
  type CopiedArtifacts,
  copyBackedUpArtifacts,
  copyLiveArtifacts,
  hashFile,
  type OnProgress,
  syncFile,
} from './copy-artifacts.ts';
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

/** Lies in a folder that a copy is being made in: only such a folder is removed by the next one. */
const DRAFT_MARKER = '.tidemill-draft';

/**
 * Copies an embedded platform into the new folder `destination` while it works: the database as it stands at one
 * moment, then every artifact, each with the content that its key had at a moment after that. Rows are written after
 * the artifacts that they name, so the copy has all that its database names, but for what is deleted during the copy; a key
 * that is overwritten meanwhile has its old or its new content. The folder appears under its name only when it is whole
 * and on disk; a failure leaves nothing behind.
 *
 * @throws ApiError when there is no embedded platform in `dataDir`, `destination` exists, or an artifact is damaged.
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
  onProgress?: OnProgress;
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
  return inDraft(destination, async (draft) => {
    const copy = join(draft, 'tidemill.db');
    const live = new DatabaseSync(source);
    try {
      // One step: the copy is of one moment, and readers hold up no writer.
      await backup(live, copy, { rate: 2_147_483_647 });
    } finally {
      live.close();
    }
    const sizeBytes = await syncFile(copy);
    const artifacts = await copyLiveArtifacts(
      join(dataDir, 'artifacts'),
      join(draft, 'artifacts'),
      onProgress,
    );
    const manifest: BackupManifest = {
      format: 1,
      tidemill: version,
      created_at: now,
      database: { sha256: await hashFile(copy), size_bytes: sizeBytes },
      artifacts,
    };
    await writeFile(join(draft, 'backup.json'), `${JSON.stringify(manifest, null, 2)}\n`, { flush: true });
    return manifest;
  });
}

/**
 * Lays a backup out as the data folder `dataDir`, which must not hold a platform yet. Checks the database's digest and
 * consistency, and that every artifact has its content, unchanged; desired state and models of the model server come
 * back by themselves. A failure leaves nothing behind.
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
  onProgress?: OnProgress;
}): Promise<BackupManifest> {
  const manifest = await readManifest(source);
  const database = join(source, 'tidemill.db');
  if (!existsSync(database) || (await hashFile(database)) !== manifest.database.sha256) {
    throw new ApiError('INVALID_STATE', `${database} is damaged: its sha256 is not the one in backup.json`);
  }
  if (existsSync(join(dataDir, 'tidemill.db'))) {
    throw new ApiError(
      'RESOURCE_ALREADY_EXISTS',
      `${dataDir} holds a platform already: restore into another folder`,
    );
  }
  if (existsSync(dataDir) && (await readdir(dataDir)).length > 0) {
    throw new ApiError('RESOURCE_ALREADY_EXISTS', `${dataDir} is not empty: restore into a new folder`);
  }
  return inDraft(dataDir, async (draft) => {
    const copy = join(draft, 'tidemill.db');
    await copyFile(database, copy, constants.COPYFILE_FICLONE);
    await syncFile(copy);
    const artifacts = await copyBackedUpArtifacts(
      join(source, 'artifacts'),
      join(draft, 'artifacts'),
      onProgress,
    );
    refuseOtherCounts(source, manifest.artifacts, artifacts);
    checkConsistency(copy);
    return manifest;
  });
}

/** Lets `fill` fill a draft beside `destination`, brings it to disk and gives it its name; removes it after a failure. */
async function inDraft<T>(destination: string, fill: (draft: string) => Promise<T>): Promise<T> {
  const draft = `${destination}${UNFINISHED}`;
  const marker = join(draft, DRAFT_MARKER);
  if (existsSync(draft)) {
    if (!existsSync(marker)) {
      throw new ApiError(
        'RESOURCE_ALREADY_EXISTS',
        `${draft} is in the way and was not left by an interrupted copy: rename it, or name another folder`,
      );
    }
    await rm(draft, { recursive: true });
  }
  const made = await mkdir(draft, { recursive: true });
  try {
    await writeFile(marker, '', { flush: true });
    const result = await fill(draft);
    await syncFolders(draft);
    // Empty, as was checked; Windows renames over no folder.
    if (existsSync(destination)) await rmdir(destination);
    await rename(draft, destination);
    await rm(join(destination, DRAFT_MARKER));
    const parents = parentsUpTo(destination, made ?? draft);
    for (const folder of [resolve(destination), ...parents]) await syncFolder(folder);
    return result;
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    throw error;
  }
}

/** The folders above `path` that have got a new entry, since `topmost` is the highest one that was made. */
function parentsUpTo(path: string, topmost: string): string[] {
  const folders: string[] = [];
  for (let at = dirname(resolve(path)); ; at = dirname(at)) {
    folders.push(at);
    if (at.length < resolve(topmost).length || at === dirname(at)) return folders;
  }
}

async function syncFolders(root: string): Promise<void> {
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) await syncFolder(join(entry.parentPath, entry.name));
  }
  await syncFolder(root);
}

/** Brings the names in a folder to disk. */
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return; // Folders cannot be opened there.
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

function refuseOtherCounts(source: string, told: CopiedArtifacts, found: CopiedArtifacts): void {
  if (found.files === told.files && found.size_bytes === told.size_bytes) return;
  throw new ApiError(
    'INVALID_STATE',
    `${source} is damaged: backup.json counts ${told.files} artifact files with ${told.size_bytes} bytes, and there are ${found.files} with ${found.size_bytes}`,
  );
}

async function readManifest(source: string): Promise<BackupManifest> {
  const path = join(source, 'backup.json');
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT' && error.code !== 'ENOTDIR') throw error;
  });
  if (text === undefined) {
    throw new ApiError('RESOURCE_DOES_NOT_EXIST', `${source} is no backup: no backup.json in it`);
  }
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw new ApiError('INVALID_STATE', `${path} is damaged: it is no JSON (${(error as Error).message})`);
  }
  const manifest = manifestSchema.safeParse(document);
  if (!manifest.success) {
    throw new ApiError('INVALID_STATE', `${path} is of a form that this version does not know`);
  }
  return manifest.data;
}

function checkConsistency(path: string): void {
  const database = new DatabaseSync(path);
  let answer: unknown;
  try {
    answer = database.prepare('pragma integrity_check').get()?.['integrity_check'];
  } catch (error) {
    answer = (error as Error).message;
  } finally {
    database.close();
  }
  if (answer !== 'ok') {
    throw new ApiError('INVALID_STATE', `the database in the backup is damaged: ${String(answer)}`);
  }
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
