import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { ArtifactStore } from '../../../artifacts/index.ts';
import { ApiError, type Clock, type Database, type Logger } from '../../../platform/index.ts';
import {
  changeLog,
  dropSegmentNames,
  forgetLogGarbage,
  giveUpOutputs,
  planLogOutputs,
  retireGeneration,
} from '../commands.ts';
import type { LogCatalog } from '../log-catalog.ts';
import type { LogClient } from '../log-client.ts';
import type { WrittenFile } from '../log-messages.ts';
import { createLogGarbage } from '../store/log-garbage.ts';
import type { LogChange, NewFile } from '../store/log-store.ts';
import type { LogFile } from '../store/log-tables.ts';
import { INCOMING, madeAt, type SegmentIntake } from './take-segment.ts';

/** Between which steps of a change a test may stop the world. */
export type FilingStep = 'planned' | 'written' | 'stored' | 'committed' | 'collected';

export interface FilingDeps {
  database: Database;
  artifacts: ArtifactStore;
  clock: Clock;
  logger: Logger;
  client: LogClient;
  catalog: LogCatalog;
  intake: SegmentIntake;
  /** This process's own folder for files that are being written. */
  workFolder: string;
  /** How old rows get, by their event time; 0 keeps them. */
  retentionMs: number;
  /** How long artifacts stay that nothing names any more: a backup that began before may still copy them. */
  graceMs?: number;
  onStep?: (step: FilingStep) => void | Promise<void>;
}

const OUTPUTS = 'log/files';
const HOUR_MS = 3_600_000;
const GRACE_MS = 900_000;
const DAY_MS = 24 * HOUR_MS;
/** So many small files of a month become one. */
const MERGED_FILES = 8;
const SMALL_ROWS = 50_000;
const MERGED_ROWS = 200_000;
/** Names of segments are remembered so long: a server that sends one again after that would be believed. */
const SEGMENT_NAMES_MS = 400 * DAY_MS;

/** Turns segments into files, and keeps the files few, young and without orphans. Each change is one commit of the database. */
export function createSegmentFiling(deps: FilingDeps) {
  const { database, artifacts, clock, logger, client, catalog, intake, workFolder, retentionMs } = deps;
  const garbage = createLogGarbage(database.reader);
  const onStep = deps.onStep ?? (() => {});

  /**
   * Lets the process write files, stores them, and commits the change that they are part of. Until the commit nothing has
   * happened; what is left of a change that never stood is garbage, announced beforehand.
   */
  async function change<T>(
    write: (folder: string) => Promise<T>,
    toChange: (written: T) => Omit<LogChange, 'add' | 'outputs' | 'nowMs'> & {
      files: (WrittenFile & { createdAt: number })[];
    },
  ): Promise<{ written: T; added: NewFile[] }> {
    const outputs = `${OUTPUTS}/${Date.now()}-${randomUUID().slice(0, 13)}`;
    const folder = join(workFolder, 'out', basename(outputs));
    await database.execute(planLogOutputs, { folder: outputs, nowMs: Date.now() });
    await onStep('planned');
    try {
      const written = await write(folder);
      await onStep('written');
      const { files, ...rest } = toChange(written);
      const added: NewFile[] = [];
      for (const { path, ...file } of files) {
        const artifact = `${outputs}/${basename(path)}`;
        const stored = await artifacts.put(artifact, createReadStream(path, { highWaterMark: 2 ** 20 }));
        added.push({ ...file, ...stored, artifact });
      }
      await onStep('stored');
      await database.execute(changeLog, { ...rest, add: added, outputs, nowMs: Date.now() });
      await onStep('committed');
      return { written, added };
    } catch (error) {
      await database.execute(changeLog, { outputs, nowMs: Date.now() }).catch(() => {});
      throw error;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** Files what the process holds in memory. Another server may have been faster: then there is nothing to do. */
  async function fileBatches(): Promise<number> {
    const { start } = await catalog.sync();
    intake.turnGeneration();
    let filed = 0;
    for (const batch of catalog.seal()) {
      try {
        await change(
          (folder) => client.call('flush', { batch: batch.name, folder, now: clock.now() }, { start }),
          ({ files, segments }) => ({
            filed: segments,
            files: files.map((file) => ({ ...file, createdAt: clock.now() })),
            drops: [
              { model: '', cause: 'bad', rows: segments.reduce((sum, { badLines }) => sum + badLines, 0) },
            ],
          }),
        );
        filed += batch.ids.size;
      } catch (error) {
        if (!isConflict(error)) throw error;
      }
    }
    await catalog.sync();
    return filed;
  }

  async function mergeFiles(): Promise<number> {
    const { start } = await catalog.sync();
    const groups = filesToMerge(catalog.files());
    for (const group of groups) {
      const [{ kind, model }] = group as [LogFile];
      try {
        await change(
          (folder) =>
            client.call(
              'merge',
              {
                kind,
                model,
                folder,
                paths: group.map(({ id }) => catalog.pathOf(id)),
                columns: [...new Set(group.flatMap(({ columns }) => columns))],
              },
              { start },
            ),
          (file) => ({
            remove: group.map(({ id }) => id),
            files: [{ ...file, createdAt: Math.max(...group.map(({ createdAt }) => createdAt)) }],
          }),
        );
      } catch (error) {
        if (!isConflict(error)) throw error;
      }
    }
    if (groups.length > 0) await catalog.sync();
    return groups.length;
  }

  /** Drops whole files whose rows are too old, by their event time, and were not filed lately either. */
  async function applyRetention(): Promise<number> {
    if (retentionMs === 0) return 0;
    const before = clock.now() - retentionMs;
    const old = catalog.files().filter(({ toMs, createdAt }) => toMs < before && createdAt < before);
    if (old.length === 0) return 0;
    const drops = old
      .filter(({ kind }) => kind === 'predictions')
      .map(({ model, rows }) => ({ model, cause: 'retention' as const, rows }));
    try {
      await database.execute(changeLog, { remove: old.map(({ id }) => id), drops, nowMs: Date.now() });
      logger.info({ files: old.length, before }, 'the prediction log dropped files past their retention');
    } catch (error) {
      if (!isConflict(error)) throw error;
    }
    await catalog.sync();
    return old.length;
  }

  const startedMs = Date.now();
  let nextOrphansMs = 0;
  /** On SQLite one process is alive at a time. */
  const isOfDeadProcess = (generation: string): boolean =>
    database.dialect === 'sqlite' && madeAt(generation) < startedMs;

  /** Removes the artifacts that nothing names any more. */
  async function collectGarbage({ isStart = false, atOnce = false } = {}): Promise<void> {
    // On SQLite this process is alone, so that at its start whatever is unfinished is nobody's.
    const isAlone = isStart && database.dialect === 'sqlite';
    const anHourAgo = Date.now() - HOUR_MS;
    for (const { generation, newestMs } of await garbage.filedGenerations()) {
      const isAbandoned = newestMs < anHourAgo || isOfDeadProcess(generation);
      if (intake.isOpen(generation) || !(isAbandoned || intake.isOver(generation))) continue;
      const folder = `${INCOMING}/${generation}`;
      await database.execute(retireGeneration, { generation, folder, nowMs: Date.now() });
      intake.forgetGeneration(generation);
    }
    if (isAlone) await removeOrphanGenerations(startedMs);
    else if (Date.now() >= nextOrphansMs) {
      nextOrphansMs = Date.now() + HOUR_MS;
      await removeOrphanGenerations(Date.now() - DAY_MS);
    }
    await database.execute(giveUpOutputs, { announcedBeforeMs: isAlone ? startedMs : anHourAgo });
    const found = await garbage.list(
      atOnce ? Number.MAX_SAFE_INTEGER : Date.now() - (deps.graceMs ?? GRACE_MS),
    );
    for (const artifact of found) {
      await artifacts.delete(artifact);
      await artifacts.deletePrefix(artifact);
    }
    if (found.length > 0) await database.execute(forgetLogGarbage, found);
    await onStep('collected');
  }

  /**
   * Folders of segments that were stored, but not recorded before the process died: their senders send them again. Of
   * several servers none knows whether another is about to record what it has stored; but not in a folder of yesterday.
   */
  async function removeOrphanGenerations(madeBeforeMs: number): Promise<void> {
    const known = await garbage.generations();
    for (const { name } of await artifacts.list(INCOMING)) {
      if (madeAt(name) < madeBeforeMs && !known.has(name) && !intake.isOpen(name))
        await artifacts.deletePrefix(`${INCOMING}/${name}`);
    }
  }

  /** Removes the bytes of what is filed at once, also in the folders of other servers, which would do so later. */
  async function removeFiledSegments(): Promise<void> {
    for (const artifact of await garbage.filedArtifacts()) await artifacts.delete(artifact);
  }

  return {
    change,
    removeFiledSegments,
    fileBatches,
    mergeFiles,
    applyRetention,
    collectGarbage,
    dropOldNames: () => database.execute(dropSegmentNames, { beforeMs: Date.now() - SEGMENT_NAMES_MS }),
  };
}

export type SegmentFiling = ReturnType<typeof createSegmentFiling>;

/** Small files of one kind, model and month that are many. */
export function filesToMerge(files: readonly LogFile[]): LogFile[][] {
  const months = new Map<string, LogFile[]>();
  for (const file of files) {
    if (file.rows >= SMALL_ROWS) continue;
    const key = JSON.stringify([file.kind, file.model, new Date(file.fromMs).toISOString().slice(0, -17)]);
    months.set(key, [...(months.get(key) ?? []), file]);
  }
  const groups: LogFile[][] = [];
  for (const small of months.values()) {
    if (small.length < MERGED_FILES) continue;
    const group: LogFile[] = [];
    let rows = 0;
    for (const file of small.toSorted((a, b) => a.rows - b.rows)) {
      rows += file.rows;
      if (rows <= MERGED_ROWS) group.push(file);
    }
    if (group.length > 1) groups.push(group);
  }
  return groups;
}

export const isConflict = (error: unknown): boolean =>
  error instanceof ApiError && error.code === 'RESOURCE_CONFLICT';
