import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleepFor } from 'node:timers/promises';
import type { Logger } from '../../platform/index.ts';
import { type Reporter, reporterParams, SEGMENT_KINDS, type SegmentKind } from '../contract.ts';
import { undefinedWhenFull } from './disk-full.ts';
import { makeOnce, openHere, ownerName, signOwner, startOf, takeOver } from './folder-owners.ts';
import type { ClosedSegment } from './segment-writer.ts';

/** What an earlier process left when it ended before all was shipped. */
export interface LeftOver {
  reporter: Reporter;
  folder: string;
  /** In the order in which they are shipped. */
  segments: ClosedSegment[];
}

export interface LogFolder {
  reporter: Reporter;
  /** Where this process writes. */
  folder: string;
  leftOvers: LeftOver[];
  /** False while the disk has no room for the folder. */
  readonly isThere: boolean;
  /** To be called when the process writes no more. */
  release(): void;
}

export interface LogFolderOptions {
  /** How an owner's file is written; tests put a full disk in its place. */
  writeOwner?: ((path: string, text: string) => Promise<void>) | undefined;
  /** Milliseconds after which a folder that found no room is tried again. */
  retryMs?: number | undefined;
}

const RETRY_MS = 1000;
/** Folders that are being removed. */
export const GONE_PREFIX = '.gone-';

/**
 * Opens the folder of the prediction log: finds or makes the replica's id, begins a new incarnation with a folder of
 * its own, and takes over what dead ones left, each cut after its last whole line. What another living server that
 * shares the folder writes, or has taken over, is left alone. On a full disk it takes over without saying so there,
 * because shipping what is left makes room, and makes the folder later: of several servers on one full disk more than
 * one may ship the same, which the control plane takes once.
 */
export async function openLogFolder(
  root: string,
  incarnation: string,
  logger: Logger,
  { writeOwner = writeFile, retryMs = RETRY_MS }: LogFolderOptions = {},
): Promise<LogFolder> {
  const folder = join(root, incarnation);
  const draft = await makeDraft(root, writeOwner, randomUUID()).catch(undefinedWhenFull);
  const replica = draft?.replica ?? (await knownReplica(root)) ?? randomUUID();
  const leftOvers: LeftOver[] = [];
  const entries = await readdir(root, { withFileTypes: true }).catch(noneWhenGone);
  const names = entries.filter((entry) => entry.isDirectory());
  for (const { name } of names.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    if (name.startsWith(GONE_PREFIX)) await removeQuietly(join(root, name));
    const reporter = reporterParams.safeParse({ replica, incarnation: name });
    const left = join(root, name);
    if (!reporter.success || !(await takeOver(left, draft?.ownerFile))) continue;
    leftOvers.push({ reporter: reporter.data, folder: left, segments: await listSegments(left, logger) });
  }
  openHere.add(folder);
  // Another server that opens now sees the folder with its owner or not at all.
  const make = (made: Draft): Promise<true | undefined> =>
    rename(made.path, folder).then(
      () => true as const,
      async (error: unknown) => {
        await removeQuietly(made.path);
        return undefinedWhenFull(error);
      },
    );
  let isThere = draft !== undefined && (await make(draft)) === true;
  const stopping = new AbortController();
  if (!isThere) {
    logger.warn(
      { folder: root },
      'the disk is full: predictions are answered but not logged until there is room',
    );
    void makeLater();
  }

  async function makeLater(): Promise<void> {
    const { signal } = stopping;
    while (!isThere) {
      await sleepFor(retryMs, undefined, { signal, ref: false }).catch(() => {});
      if (signal.aborted) return;
      const late = await makeDraft(root, writeOwner, replica).catch(() => undefined);
      if (late === undefined) continue;
      for (const left of leftOvers) await signOwner(left.folder, late.ownerFile).catch(() => {});
      isThere = (await make(late).catch(() => undefined)) === true;
    }
    logger.info({ folder }, 'there is room for the log');
  }

  const held = [folder, ...leftOvers.map((leftOver) => leftOver.folder)];
  return {
    reporter: { replica, incarnation },
    folder,
    leftOvers,
    get isThere() {
      return isThere;
    },
    release() {
      stopping.abort();
      for (const each of held) openHere.delete(each);
    },
  };
}

/** A folder in the making. */
interface Draft {
  path: string;
  ownerFile: string;
  replica: string;
}

/** Makes a folder that says who owns it; nothing of it stays when that fails. */
async function makeDraft(
  root: string,
  writeOwner: (path: string, text: string) => Promise<void>,
  newReplica: string,
): Promise<Draft> {
  await mkdir(root, { recursive: true });
  const path = await mkdtemp(join(root, '.draft-'));
  try {
    const ownerFile = join(path, ownerName(0));
    await writeOwner(ownerFile, JSON.stringify({ pid: process.pid, started: startOf(process.pid) }));
    return { path, ownerFile, replica: await readReplica(root, path, newReplica) };
  } catch (error) {
    await removeQuietly(path);
    throw error;
  }
}

const removeQuietly = (path: string): Promise<void> =>
  rm(path, { recursive: true, force: true }).catch(() => {});

async function knownReplica(root: string): Promise<string | undefined> {
  const known = (await readFile(join(root, 'replica'), 'utf8').catch(() => '')).trim();
  return reporterParams.shape.replica.safeParse(known).success ? known : undefined;
}

async function readReplica(root: string, draft: string, newReplica: string): Promise<string> {
  const path = join(root, 'replica');
  const known = await knownReplica(root);
  if (known !== undefined) return known;
  const made = join(draft, 'replica');
  await writeFile(made, `${newReplica}\n`, { flush: true });
  // Of servers that start at once for the first time, one names the replica.
  if ((await makeOnce(made, path)) || (await knownReplica(root)) !== undefined) await rm(made);
  else await rename(made, path); // A power cut left something else.
  const replica = await knownReplica(root);
  if (replica === undefined)
    throw new Error(`${path} does not hold the id of this replica, and cannot be written`);
  return replica;
}

const SEGMENT_NAME = /^(predictions|feedback)-(\d{10})\.ndjson$/;

function noneWhenGone(error: NodeJS.ErrnoException): never[] {
  if (error.code !== 'ENOENT') throw error;
  return [];
}

async function listSegments(folder: string, logger: Logger): Promise<ClosedSegment[]> {
  const segments: ClosedSegment[] = [];
  for (const name of await readdir(folder).catch(noneWhenGone)) {
    const [, kind, sequence] = SEGMENT_NAME.exec(name) ?? [];
    if (kind === undefined) continue;
    const path = join(folder, name);
    const bytes = await cutLastLine(path, logger).catch(noneWhenGone);
    if (typeof bytes !== 'number') continue;
    if (bytes === 0) await rm(path, { force: true });
    else segments.push({ kind: kind as SegmentKind, sequence: Number(sequence), path, bytes, newest: null });
  }
  return segments.sort(
    (a, b) => SEGMENT_KINDS.indexOf(a.kind) - SEGMENT_KINDS.indexOf(b.kind) || a.sequence - b.sequence,
  );
}

const STEP_BYTES = 64 * 1024;

/** Cuts off what follows the last newline: a line that its process did not finish, and so answered nobody with. */
async function cutLastLine(path: string, logger: Logger): Promise<number> {
  const file = await open(path, 'r+');
  try {
    const { size } = await file.stat();
    const buffer = Buffer.alloc(Math.min(STEP_BYTES, size));
    for (let end = size; end > 0; end -= buffer.length) {
      const start = Math.max(0, end - buffer.length);
      await file.read(buffer, 0, end - start, start);
      const at = buffer.subarray(0, end - start).lastIndexOf(0x0a);
      if (at < 0) continue;
      const whole = start + at + 1;
      if (whole < size) {
        // Some file systems need room for that too; only the whole lines are shipped.
        await file.truncate(whole).catch(undefinedWhenFull);
        logger.warn({ file: path, bytes: size - whole }, 'an unfinished last line was cut off the log');
      }
      return whole;
    }
    return 0;
  } finally {
    await file.close();
  }
}
