import { copyFile, link, mkdir, readdir, readFile, rename, rm, rmdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleepFor } from 'node:timers/promises';
import { z } from 'zod';
import type { Logger } from '../../../platform/index.ts';
import { profileEntrySchema } from '../../contract.ts';
import { writeAtomically } from '../../versions/model-cache.ts';
import type { ServedVersion } from '../../versions/served-version.ts';
import { isDiskFull } from '../disk-full.ts';
import { removeOwners } from '../folder-owners.ts';
import { newer } from '../inspect-segment.ts';
import { GONE_PREFIX, type LeftOver } from '../log-folder.ts';
import { segmentFile } from '../segment-writer.ts';
import { REFUSED_FOLDER } from '../set-aside.ts';
import {
  REPLAY_FOLDER,
  RefusedError,
  type RefusedKind,
  type ReportProfiles,
  SNAPSHOT_FILE,
  type Snapshot,
} from '../ship-log.ts';
import { countAgain, type LoggedFile } from './count-again.ts';

const snapshotSchema: z.ZodType<Snapshot> = z.object({
  position: z.object({ sequence: z.int(), bytes: z.int() }),
  part: z.int(),
  dropped: z.int(),
  watermark: z.int().nullable(),
  entries: z.array(profileEntrySchema),
});

const NO_SNAPSHOT: Snapshot = {
  position: { sequence: 0, bytes: 0 },
  part: 0,
  dropped: 0,
  watermark: null,
  entries: [],
};
/** What the lost snapshot had counted was reported under smaller parts, to which the segments that are left add. */
const LOST_PART = 2 ** 31 - 1;
const RETRY_MS = 2000;

interface Dead {
  leftOver: LeftOver;
  snapshot: Snapshot;
  /** Segments that the snapshot does not count whole, kept until they are counted. */
  files: LoggedFile[];
  /** The disk has no room for what was counted again, so that a later process would have to count from `files` too. */
  isUnkept: boolean;
}

/**
 * Completes the profiles of dead incarnations: what their last snapshot does not count is counted from the log, by the
 * models as soon as these are warm, and reported under the dead one's own name. The files that this needs are linked
 * aside at once, so that shipping waits for nothing.
 */
export async function recoverProfiles(deps: {
  leftOvers: readonly LeftOver[];
  reportProfiles: ReportProfiles;
  findVersion: (name: string, version: string) => ServedVersion | undefined;
  logger: Logger;
  onRefused: (what: RefusedKind) => void;
  retryMs?: number;
  /** How a snapshot is kept; tests put a full disk in its place. */
  writeSnapshot?: (path: string, text: string) => Promise<void>;
}) {
  const { reportProfiles, findVersion, logger, retryMs = RETRY_MS, writeSnapshot = writeAtomically } = deps;
  const stopping = new AbortController();
  const dead = await Promise.all(deps.leftOvers.map((leftOver) => takeUp(leftOver, logger)));
  let running: Promise<void> | undefined;

  async function recoverAll(): Promise<void> {
    while (dead.length > 0 && !stopping.signal.aborted) {
      const [one] = dead as [Dead];
      try {
        await recoverOne(one);
        dead.shift();
      } catch (error) {
        if (stopping.signal.aborted) return;
        logger.debug(
          { err: error, retry_ms: retryMs },
          'the profiles of an earlier process wait to be reported',
        );
        await pause();
      }
    }
  }

  const pause = () => sleepFor(retryMs, undefined, { signal: stopping.signal, ref: false }).catch(() => {});

  async function recoverOne(one: Dead): Promise<void> {
    const { signal } = stopping;
    const { reporter, folder, segments } = one.leftOver;
    if (one.files.length > 0) {
      const entries = await countAgain(one.snapshot, one.files, findVersion, logger, signal);
      // Kept before anything is told or removed: a process that dies now must not count from the old snapshot again.
      one.snapshot = { ...one.snapshot, position: { sequence: Number.MAX_SAFE_INTEGER, bytes: 0 }, entries };
      one.isUnkept = true;
      one.files = [];
    }
    if (one.isUnkept) one.isUnkept = !(await keepSnapshot(one));
    if (!one.isUnkept) await rm(join(folder, REPLAY_FOLDER), { recursive: true, force: true });
    // A report comes after the segments of what it counts.
    while (segments.length > 0) {
      await pause();
      signal.throwIfAborted();
    }
    const { entries, dropped, watermark } = one.snapshot;
    if (entries.length > 0 || dropped > 0 || watermark !== null) {
      const { incarnation } = reporter;
      const told = { incarnation, entries: entries.length };
      try {
        await reportProfiles(reporter, { watermark, dropped, entries }, signal);
        logger.info(told, 'the profiles of an earlier process are complete');
      } catch (error) {
        if (!(error instanceof RefusedError)) throw error;
        deps.onRefused('profiles');
        logger.error({ ...told, err: error }, 'a report of profiles of an earlier process was refused');
      }
    }
    await removeFolder(folder, one.isUnkept);
  }

  /** False when the disk has no room for it. */
  async function keepSnapshot({ leftOver, snapshot }: Dead): Promise<boolean> {
    try {
      await writeSnapshot(join(leftOver.folder, SNAPSHOT_FILE), JSON.stringify(snapshot));
      return true;
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      return false;
    }
  }

  return {
    /** The newest event time that the dead have told or were about to. */
    watermark: dead.reduce<number | null>((newest, { snapshot }) => newer(newest, snapshot.watermark), null),

    /** Models are warm, or will not be for now. */
    onSettled(): void {
      if (dead.length === 0) return;
      running ??= recoverAll().finally(() => {
        running = undefined;
      });
    },

    /** What is not complete yet is taken up by the next start. */
    async stop(): Promise<void> {
      stopping.abort(new Error('the model server stops'));
      await running;
    },
  };
}

/** Removes what is complete; refused segments stay. */
async function removeFolder(folder: string, isUnkept: boolean): Promise<void> {
  const names = await readdir(folder);
  if (isUnkept && !names.includes(REFUSED_FOLDER)) {
    // In one step: a process that dies halfway must leave all that the counts are counted from, or nothing.
    const gone = join(dirname(folder), `${GONE_PREFIX}${basename(folder)}`);
    await rename(folder, gone);
    await rm(gone, { recursive: true, force: true });
    return;
  }
  await rm(join(folder, REPLAY_FOLDER), { recursive: true, force: true });
  // With it goes what a death left half written beside it.
  for (const name of names) {
    if (name.startsWith(SNAPSHOT_FILE)) await rm(join(folder, name), { force: true });
  }
  await removeOwners(folder);
  await rmdir(folder).catch(() => {});
}

async function takeUp(leftOver: LeftOver, logger: Logger): Promise<Dead> {
  const { folder } = leftOver;
  const snapshot = await readFile(join(folder, SNAPSHOT_FILE), 'utf8').then(
    (text) => readSnapshot(text) ?? { ...NO_SNAPSHOT, part: LOST_PART },
    () => NO_SNAPSHOT,
  );
  const { position } = snapshot;
  const kept = join(folder, REPLAY_FOLDER);
  for (const { kind, sequence, bytes, path } of leftOver.segments) {
    if (kind !== 'predictions' || sequence < position.sequence) continue;
    if (sequence === position.sequence && bytes <= position.bytes) continue;
    try {
      await mkdir(kept, { recursive: true });
      await keepForReplay(path, join(kept, segmentFile(kind, sequence)));
    } catch (error) {
      if (!isDiskFull(error)) throw error;
      logger.warn(
        { segment: path },
        'rows of an earlier process are missing in its profile: the disk has no room to keep them aside',
      );
    }
  }
  const names = await readdir(kept).catch(() => []);
  const files = names
    .sort((a, b) => (a < b ? -1 : 1))
    .map((name) => ({ sequence: Number(/\d+/.exec(name)?.[0]), path: join(kept, name) }))
    // A process that died while it recovered may have counted them, and not have removed them.
    .filter(({ sequence }) => sequence >= position.sequence);
  return { leftOver, snapshot, files, isUnkept: false };
}

async function keepForReplay(path: string, target: string): Promise<void> {
  await link(path, target).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code === 'EEXIST' || error.code === 'ENOENT') return; // Somebody may have removed it meanwhile.
    try {
      await copyFile(path, target);
    } catch (failed) {
      await rm(target, { force: true });
      throw failed;
    }
  });
}

/** Undefined when a power cut left something else: it is not synced. */
function readSnapshot(text: string): Snapshot | undefined {
  try {
    return snapshotSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}
