import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const PID_FILE = 'owner.pid';

/** A new folder of this process's own; what processes left under the same prefix that were killed is removed first. */
export async function makeOwnFolder(parent: string, prefix: string): Promise<string> {
  for (const entry of await readdir(parent)) {
    if (!entry.startsWith(prefix)) continue;
    const folder = join(parent, entry);
    const text = await readFile(join(folder, PID_FILE), 'utf8').catch(() => '');
    // Without the file it is not known whose it is, so it stays.
    if (/^[1-9]\d*$/.test(text) && !isAlive(Number(text))) {
      await rm(folder, { recursive: true, force: true }).catch(() => {});
    }
  }
  const folder = await mkdtemp(join(parent, prefix));
  await writeFile(join(folder, PID_FILE), String(process.pid));
  return folder;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}
