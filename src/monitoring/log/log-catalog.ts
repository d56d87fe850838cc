import type { ArtifactStore } from '../../artifacts/index.ts';
import { ApiError, createWorkLimit, type Database, type Logger } from '../../platform/index.ts';
import { type LogClient, LogProcessDied } from './log-client.ts';
import type { SyncRequest } from './log-messages.ts';
import { createLogStore } from './store/log-store.ts';
import type { LogFile, NewSegment } from './store/log-tables.ts';

/** Segments that the process holds together in memory, until they are filed together. */
export interface Batch {
  name: string;
  ids: Set<number>;
  sizeBytes: number;
  isSealed: boolean;
}

/** What a batch may hold, so that its rows fit into memory. */
export const BATCH_LIMITS = { sizeBytes: 64 * 2 ** 20, segments: 1000 };

export interface CatalogDeps {
  database: Database;
  artifacts: ArtifactStore;
  client: LogClient;
  logger: Logger;
}

/** Keeps the process up to date with what the database says of the log: which files there are, which segments are new. */
export function createLogCatalog({ database, artifacts, client, logger }: CatalogDeps) {
  const store = createLogStore(database.reader);
  const oneByOne = createWorkLimit({ running: 1, waiting: Number.POSITIVE_INFINITY, what: 'looks' });
  let start = 0;
  let filesRevision = -1;
  let segmentsRevision = -1;
  let newestSeen = 0;
  let files: LogFile[] = [];
  let paths = new Map<number, string>();
  let pending: NewSegment[] = [];
  let batches: Batch[] = [];
  let models = new Map<string, string[]>();
  let batchNumber = 0;
  /** Segments and files whose bytes are gone, told once. */
  const lost = new Set<number>();

  function reset(): void {
    filesRevision = segmentsRevision = -1;
    batches = [];
    pending = [];
  }

  /** Reads segments and files as they stood at one moment. */
  async function readAll() {
    for (;;) {
      const state = await store.state();
      const [segments, found] = [await store.newSegments(), await store.files()];
      const after = await store.state();
      if (after.files_revision === state.files_revision) return { state, segments, files: found };
    }
  }

  async function look(): Promise<Pick<SyncRequest, 'drop' | 'files'>> {
    const state = await store.state();
    if (state.files_revision === filesRevision) {
      if (state.segments_revision !== segmentsRevision) {
        const more = await store.newSegments(newestSeen);
        pending.push(...more.filter(({ id }) => !lost.has(id)));
        newestSeen = Math.max(newestSeen, ...more.map(({ id }) => id));
        segmentsRevision = state.segments_revision;
      }
      return { drop: [] };
    }
    const read = await readAll();
    const isNew = new Set(read.segments.map(({ id }) => id));
    const gone = batches.filter((batch) => [...batch.ids].some((id) => !isNew.has(id)));
    const known = new Map(paths);
    paths = new Map();
    const found = read.files.filter(({ id }) => !lost.has(id));
    for (const file of found) {
      paths.set(file.id, known.get(file.id) ?? (await artifacts.localPath(file.artifact)));
    }
    batches = batches.filter((batch) => !gone.includes(batch));
    const held = new Set(batches.flatMap((batch) => [...batch.ids]));
    pending = read.segments.filter(({ id }) => !held.has(id) && !lost.has(id));
    newestSeen = Math.max(newestSeen, ...read.segments.map(({ id }) => id));
    files = found;
    filesRevision = read.state.files_revision;
    segmentsRevision = read.state.segments_revision;
    return {
      drop: gone.map(({ name }) => name),
      files: files.map((file) => ({ ...file, path: paths.get(file.id)! })),
    };
  }

  function openBatch(): Batch {
    const open = batches.find((batch) => !batch.isSealed);
    if (open) return open;
    const batch = { name: `batch-${++batchNumber}`, ids: new Set<number>(), sizeBytes: 0, isSealed: false };
    batches.push(batch);
    return batch;
  }

  /** Takes from the pending segments what the open batch still has room for. */
  async function choose(): Promise<SyncRequest['load']> {
    if (pending.length === 0) return undefined;
    const batch = openBatch();
    const segments: NonNullable<SyncRequest['load']>['segments'] = [];
    while (pending.length > 0) {
      const next = pending[0]!;
      const isFull =
        batch.ids.size >= BATCH_LIMITS.segments ||
        (batch.ids.size > 0 && batch.sizeBytes + next.sizeBytes > BATCH_LIMITS.sizeBytes);
      if (isFull) break;
      const path = await artifacts.localPath(next.artifact);
      pending.shift();
      batch.ids.add(next.id);
      batch.sizeBytes += next.sizeBytes;
      segments.push({ id: next.id, kind: next.kind, path });
    }
    return segments.length === 0 ? undefined : { batch: batch.name, segments };
  }

  async function syncOnce(): Promise<{ start: number; isComplete: boolean }> {
    const isFresh = start !== client.starts() || client.pid() === undefined;
    if (isFresh) reset();
    try {
      const seen = await look();
      const load = await choose();
      if (isFresh || load || seen.files) {
        // Only a process that is told everything may be a new one: any other must be the one that knows the rest.
        const told = client.call('sync', { ...seen, ...(load && { load }) }, isFresh ? {} : { start });
        start = client.starts();
        models = new Map((await told).models.map(({ name, columns }) => [name, columns]));
      }
      return { start, isComplete: pending.length === 0 };
    } catch (error) {
      // Half of it may have been done: begin anew with a process that knows nothing.
      reset();
      await client.stop();
      throw error;
    }
  }

  /** What is named but gone cannot be waited for: the rest of the log goes on without it. */
  async function giveUpLost(): Promise<void> {
    for (const { id, artifact } of [...(await store.newSegments()), ...(await store.files())]) {
      if (lost.has(id) || (await artifacts.head(artifact))) continue;
      lost.add(id);
      logger.error({ artifact }, 'a part of the prediction log is gone from the artifacts');
    }
  }

  async function sync(): Promise<{ start: number; isComplete: boolean }> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await syncOnce();
      } catch (error) {
        const isGone = error instanceof ApiError && error.code === 'RESOURCE_DOES_NOT_EXIST';
        const mayHeal = isGone || error instanceof LogProcessDied;
        if (!mayHeal || attempt === 3) throw error;
        // Another server may have filed it between two looks.
        if (isGone && attempt === 2) await giveUpLost();
      }
    }
  }

  return {
    /** Tells the process what is new, as far as it has room; `isComplete` says whether that was all. */
    sync: () => oneByOne(sync),
    files: () => files,
    pathOf: (id: number) => paths.get(id)!,
    models: () => models,
    /** Segments that no file holds yet, as of the last look. */
    backlog: () => ({
      segments: pending.length + batches.reduce((sum, { ids }) => sum + ids.size, 0),
      sizeBytes: [...pending, ...batches].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
    }),
    /** Closes the open batch, and gives all that are to be filed. */
    seal(): Batch[] {
      for (const batch of batches) batch.isSealed ||= batch.ids.size > 0;
      return batches.filter(({ isSealed }) => isSealed);
    },
  };
}

export type LogCatalog = ReturnType<typeof createLogCatalog>;
