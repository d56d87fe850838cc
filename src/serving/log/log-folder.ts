import { randomUUID } from 'node:crypto';
import { constants, readFileSync } from 'node:fs';
import {
  copyFile,
  link,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../../platform/index.ts';
import { type Reporter, reporterParams, SEGMENT_KINDS, type SegmentKind } from '../contract.ts';
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
  /** To be called when the process writes no more. */
  release(): void;
}

/** Folders that servers of this very process write to or took over; their owner files name a living process too. */
const openHere = new Set<string>();

/**
 * Opens the folder of the prediction log: finds or makes the replica's id, begins a new incarnation with a folder of
 * its own, and takes over what dead ones left, each cut after its last whole line. What another living server that
 * shares the folder writes, or has taken over, is left alone.
 */
export async function openLogFolder(root: string, incarnation: string, logger: Logger): Promise<LogFolder> {
  await mkdir(root, { recursive: true });
  const draft = await mkdtemp(join(root, '.draft-'));
  const ownerFile = join(draft, ownerName(0));
  await writeFile(ownerFile, JSON.stringify({ pid: process.pid, started: startOf(process.pid) }));
  const replica = await readReplica(root, draft);
  const leftOvers: LeftOver[] = [];
  const names = (await readdir(root, { withFileTypes: true })).filter((entry) => entry.isDirectory());
  for (const { name } of names.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const reporter = reporterParams.safeParse({ replica, incarnation: name });
    const folder = join(root, name);
    if (!reporter.success || !(await takeOver(folder, ownerFile))) continue;
    leftOvers.push({ reporter: reporter.data, folder, segments: await listSegments(folder, logger) });
  }
  const folder = join(root, incarnation);
  openHere.add(folder);
  // Another server that opens now sees the folder with its owner or not at all.
  await rename(draft, folder);
  const held = [folder, ...leftOvers.map((leftOver) => leftOver.folder)];
  return {
    reporter: { replica, incarnation },
    folder,
    leftOvers,
    release() {
      for (const each of held) openHere.delete(each);
    },
  };
}

const OWNER_NAME = /^owner(?:\.(\d+))?\.json$/;

/** Each owner that takes a folder over makes the file with the next number; nobody replaces one. */
const ownerName = (turn: number): string => (turn === 0 ? 'owner.json' : `owner.${turn}.json`);

/** Forgets who owned a folder, as the last thing before it goes. */
export async function removeOwners(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (OWNER_NAME.test(name)) await rm(join(folder, name), { force: true });
  }
}

/** Makes a dead process's folder this one's; of several that try at once, one does. */
async function takeOver(folder: string, ownerFile: string): Promise<boolean> {
  if (openHere.has(folder)) return false;
  openHere.add(folder); // Before anything is awaited: its files cannot tell servers of one process apart.
  let isTaken = false;
  try {
    const turns = (await readdir(folder)).flatMap((name) => {
      const found = OWNER_NAME.exec(name);
      return found === null ? [] : [Number(found[1] ?? 0)];
    });
    const last = Math.max(-1, ...turns);
    if (last >= 0 && (await isAlive(join(folder, ownerName(last))))) return false;
    isTaken = await makeOnce(ownerFile, join(folder, ownerName(last + 1)));
    return isTaken;
  } catch (error) {
    // Whoever took it over has completed and removed it.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  } finally {
    if (!isTaken) openHere.delete(folder);
  }
}

/** Gives a file a second name, whole; false when that name is taken. */
async function makeOnce(file: string, name: string): Promise<boolean> {
  try {
    await link(file, name).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code === 'EEXIST' || error.code === 'ENOENT') throw error;
      await copyFile(file, name, constants.COPYFILE_EXCL); // A file system without hard links.
    });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

async function readReplica(root: string, draft: string): Promise<string> {
  const path = join(root, 'replica');
  const read = async () => {
    const known = (await readFile(path, 'utf8').catch(() => '')).trim();
    return reporterParams.shape.replica.safeParse(known).success ? known : undefined;
  };
  const known = await read();
  if (known !== undefined) return known;
  const made = join(draft, 'replica');
  await writeFile(made, `${randomUUID()}\n`, { flush: true });
  // Of servers that start at once for the first time, one names the replica.
  if ((await makeOnce(made, path)) || (await read()) !== undefined) await rm(made);
  else await rename(made, path); // A power cut left something else.
  const replica = await read();
  if (replica === undefined)
    throw new Error(`${path} does not hold the id of this replica, and cannot be written`);
  return replica;
}

/** Whether the process that a file names lives. A process id alone may have passed on to another process. */
async function isAlive(ownerFile: string): Promise<boolean> {
  try {
    const { pid, started } = JSON.parse(await readFile(ownerFile, 'utf8')) as {
      pid: number;
      started: string;
    };
    if (pid === process.pid) return false;
    process.kill(pid, 0);
    return startOf(pid) === started;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** When a process started, in the kernel's words; '' where that cannot be told. */
function startOf(pid: number): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    // A zombie has ended, and only waits for its parent.
    return fields[0] === 'Z' ? 'ended' : `${boot} ${fields[19]}`;
  } catch {
    return '';
  }
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
        await file.truncate(whole);
        logger.warn({ file: path, bytes: size - whole }, 'an unfinished last line was cut off the log');
      }
      return whole;
    }
    return 0;
  } finally {
    await file.close();
  }
}
