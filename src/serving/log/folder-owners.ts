import { constants, readFileSync } from 'node:fs';
import { copyFile, link, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { undefinedWhenFull } from './disk-full.ts';

/** Folders that servers of this very process write to or took over; their owner files name a living process too. */
export const openHere = new Set<string>();

const OWNER_NAME = /^owner(?:\.(\d+))?\.json$/;

/** Each owner that takes a folder over makes the file with the next number; nobody replaces one. */
export const ownerName = (turn: number): string => (turn === 0 ? 'owner.json' : `owner.${turn}.json`);

/** Forgets who owned a folder, as the last thing before it goes. */
export async function removeOwners(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (OWNER_NAME.test(name)) await rm(join(folder, name), { force: true });
  }
}

/** Makes a dead process's folder this one's; of several that try at once, one does. */
export async function takeOver(folder: string, ownerFile: string | undefined): Promise<boolean> {
  if (openHere.has(folder)) return false;
  openHere.add(folder); // Before anything is awaited: its files cannot tell servers of one process apart.
  let isTaken = false;
  try {
    isTaken = await signOwner(folder, ownerFile);
    return isTaken;
  } catch (error) {
    // Whoever took it over has completed and removed it.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw error;
  } finally {
    if (!isTaken) openHere.delete(folder);
  }
}

/** Makes the owner's file the newest one of a folder; false when its owner lives, or another was quicker. */
export async function signOwner(folder: string, ownerFile: string | undefined): Promise<boolean> {
  const turns = (await readdir(folder)).flatMap((name) => {
    const found = OWNER_NAME.exec(name);
    return found === null ? [] : [Number(found[1] ?? 0)];
  });
  const last = Math.max(-1, ...turns);
  if (last >= 0 && (await isAlive(join(folder, ownerName(last))))) return false;
  if (ownerFile === undefined) return true;
  const isMade = await makeOnce(ownerFile, join(folder, ownerName(last + 1))).catch(undefinedWhenFull);
  return isMade ?? true;
}

/** Gives a file a second name, whole; false when that name is taken. */
export async function makeOnce(file: string, name: string): Promise<boolean> {
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
export function startOf(pid: number): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1)?.split(' ') ?? [];
    // A zombie has ended, and only waits for its parent.
    return fields[0] === 'Z' ? 'ended' : `${boot} ${fields[19]}`;
  } catch {
    return '';
  }
}
