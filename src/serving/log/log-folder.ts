import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '../../platform/index.ts';
import { type Reporter, reporterParams, SEGMENT_KINDS, type SegmentKind } from '../contract.ts';
import { writeAtomically } from '../versions/model-cache.ts';
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

/** Folders that servers of this very process write to; their owner file names a living process too. */
const openHere = new Set<string>();

/**
 * Opens the folder of the prediction log: finds or makes the replica's id, begins a new incarnation with a folder of
 * its own, and lists what dead ones left, each cut after its last whole line. Another living server that shares the
 * folder is left alone.
 */
export async function openLogFolder(root: string, incarnation: string, logger: Logger): Promise<LogFolder> {
  await mkdir(root, { recursive: true });
  const replica = await readReplica(join(root, 'replica'));
  const leftOvers: LeftOver[] = [];
  const names = (await readdir(root, { withFileTypes: true })).filter((entry) => entry.isDirectory());
  for (const { name } of names.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const reporter = reporterParams.safeParse({ replica, incarnation: name });
    const folder = join(root, name);
    if (!reporter.success || (await isOwned(folder))) continue;
    const segments = await listSegments(folder, logger);
    leftOvers.push({ reporter: reporter.data, folder, segments });
  }
  const folder = join(root, incarnation);
  openHere.add(folder);
  // Another server that opens now sees the folder with its owner or not at all.
  const draft = await mkdtemp(join(root, '.draft-'));
  const owner = { pid: process.pid, started: startOf(process.pid) };
  await writeFile(join(draft, OWNER_FILE), JSON.stringify(owner));
  await rename(draft, folder);
  return { reporter: { replica, incarnation }, folder, leftOvers, release: () => openHere.delete(folder) };
}

const OWNER_FILE = 'owner.json';

async function readReplica(path: string): Promise<string> {
  const known = await readFile(path, 'utf8').catch(() => '');
  if (reporterParams.shape.replica.safeParse(known.trim()).success) return known.trim();
  const made = randomUUID();
  await writeAtomically(path, `${made}\n`);
  return made;
}

/** Whether a living process writes there. A process id alone may have passed on to another process. */
async function isOwned(folder: string): Promise<boolean> {
  if (openHere.has(folder)) return true;
  try {
    const { pid, started } = JSON.parse(await readFile(join(folder, OWNER_FILE), 'utf8')) as {
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

async function listSegments(folder: string, logger: Logger): Promise<ClosedSegment[]> {
  const segments: ClosedSegment[] = [];
  for (const name of await readdir(folder)) {
    const [, kind, sequence] = SEGMENT_NAME.exec(name) ?? [];
    if (kind === undefined) continue;
    const path = join(folder, name);
    const bytes = await cutLastLine(path, logger);
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
