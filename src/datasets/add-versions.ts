import { createReadStream, createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ArtifactStore } from '../artifacts/index.ts';
import { ApiError, type Clock, createKeyedQueue, createWorkLimit, type Database } from '../platform/index.ts';
import { addDatasetVersion } from './commands.ts';
import { type AddedVersion, createDatasetStore, type NewVersion } from './dataset-store.ts';
import type { DatasetVersion } from './dataset-tables.ts';
import type { SourceFormat } from './ingest/source-table.ts';
import { type RunTableWork, runInChild } from './table-work.ts';

export interface DatasetDeps {
  database: Database;
  artifacts: ArtifactStore;
  clock: Clock;
  /** Where uploads lie while they are read, for this server alone; the system's folder for temporary files otherwise. */
  tempFolder?: string;
  /** How tables are worked on; in a process of its own otherwise. */
  runTableWork?: RunTableWork;
}

/** Tries to add rows on top of the newest version before giving up, when others add at the same time on other servers. */
const APPEND_ATTEMPTS = 10;

export interface Upload {
  name: string;
  body: Readable;
  filename?: string;
  format?: SourceFormat;
  id?: string;
  time?: string;
  text?: readonly string[];
  actor: string;
  signal?: AbortSignal;
}

/** The key of a version's canonical Parquet file. */
export const datasetKey = ({ digest }: { digest: string }): string =>
  `datasets/${digest.replace(/^sha256:/, '')}.parquet`;

const FOLDER_PREFIX = 'tidemill-dataset-';

/** Removes what a server that was killed has left of its uploads. */
export async function clearUploads(tempFolder: string): Promise<void> {
  const names = await readdir(tempFolder).catch(() => []);
  const left = names.filter((name) => name.startsWith(FOLDER_PREFIX));
  await Promise.all(left.map((name) => rm(join(tempFolder, name), { recursive: true, force: true })));
}

/** What turns files and rows into versions. Works for few tables at once, since each may take much memory. */
export function createVersionAdder(deps: DatasetDeps) {
  const { database, artifacts, clock, tempFolder = tmpdir(), runTableWork = runInChild } = deps;
  const limited = createWorkLimit({ running: 2, waiting: 64, what: 'tables' });
  const uploads = createWorkLimit({ running: 6, waiting: 32, what: 'uploads' });
  /** One after the other for one dataset: each adds to what the one before has left. */
  const oneByOne = createKeyedQueue({ waiting: 32, what: 'additions to this dataset' });

  async function withFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
    await mkdir(tempFolder, { recursive: true });
    const folder = await mkdtemp(join(tempFolder, FOLDER_PREFIX));
    try {
      return await work(folder);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  async function keep(
    path: string,
    version: Omit<NewVersion, 'sizeBytes' | 'createdAt'>,
  ): Promise<AddedVersion> {
    const key = datasetKey(version);
    if (!(await artifacts.head(key)))
      await artifacts.put(key, createReadStream(path, { highWaterMark: 2 ** 20 }));
    const { size } = await stat(path);
    return database.execute(addDatasetVersion, { ...version, sizeBytes: size, createdAt: clock.now() });
  }

  async function receive(
    folder: string,
    upload: Upload,
  ): Promise<{ version: DatasetVersion; created: boolean }> {
    const { name, filename, format, id, time, text, actor, signal } = upload;
    const path = join(folder, 'upload');
    const outPath = join(folder, 'table.parquet');
    await pipeline(upload.body, createWriteStream(path), { signal }).catch((error: unknown) => {
      signal?.throwIfAborted(); // Its reason says more than that something aborted.
      throw error;
    });
    const request = { path, outPath, sourceName: filename || 'upload', format, id, time, text };
    const table = await limited(() => runTableWork({ kind: 'ingest', request }, signal), signal);
    const { digest, rows, schema, statistics, notes } = table;
    const source = table.source!;
    const added = await keep(outPath, {
      name,
      digest,
      rows,
      schema,
      statistics,
      source,
      notes,
      createdBy: actor,
    });
    if (added.outcome === 'conflict') throw new Error('An upload builds on no version and cannot conflict');
    return { version: added.version, created: added.outcome === 'created' };
  }

  async function appendOnce(
    name: string,
    rows: readonly unknown[],
    actor: string,
    idempotencyKey: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<{ version: DatasetVersion; created: boolean } | undefined> {
    const store = createDatasetStore(database.reader);
    const before =
      idempotencyKey === undefined ? undefined : await store.findByAppendKey(name, idempotencyKey);
    if (before) return { version: before, created: false };
    const base = await store.getVersion(name, 'latest');
    return withFolder(async (folder) => {
      const outPath = join(folder, 'table.parquet');
      const basePath = await artifacts.localPath(datasetKey(base));
      const scratchPath = join(folder, 'rows.jsonl');
      const request = { basePath, schema: base.schema, rows, outPath, scratchPath };
      const table = await runTableWork({ kind: 'append', request }, signal);
      const added = await keep(outPath, {
        ...table,
        name,
        source: { kind: 'rows', baseVersion: base.version, addedRows: rows.length },
        createdBy: actor,
        baseVersion: base.version,
        ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      });
      return added.outcome === 'conflict'
        ? undefined
        : { version: added.version, created: added.outcome === 'created' };
    });
  }

  return {
    /** Reads a file that streams in and keeps it as the dataset's next version, or finds the version that it already is. */
    upload(upload: Upload): Promise<{ version: DatasetVersion; created: boolean }> {
      return uploads(() => withFolder((folder) => receive(folder, upload)), upload.signal);
    },

    /** Adds rows below those of the newest version, as a new version. */
    async append(request: {
      name: string;
      rows: readonly unknown[];
      actor: string;
      idempotencyKey?: string;
      signal?: AbortSignal;
    }): Promise<{ version: DatasetVersion; created: boolean }> {
      const { name, rows, actor, idempotencyKey, signal } = request;
      const add = async () => {
        for (let attempt = 0; attempt < APPEND_ATTEMPTS; attempt++) {
          const added = await limited(() => appendOnce(name, rows, actor, idempotencyKey, signal), signal);
          if (added) return added;
        }
        throw new ApiError(
          'TEMPORARILY_UNAVAILABLE',
          `Others keep adding to dataset ${JSON.stringify(name)}; try again`,
        );
      };
      return oneByOne(name, add, signal);
    },
  };
}
