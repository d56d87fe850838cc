import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';

/** Whether this system tells which processes a process has started. */
export const canFindChildren = process.platform === 'linux';

/** The process ids of the direct children whose command line holds the text. */
export function findChildren(pid: number, text: string): number[] {
  const children = read(`/proc/${pid}/task/${pid}/children`).trim().split(/\s+/).map(Number);
  return children.filter((child) => child > 0 && read(`/proc/${child}/cmdline`).includes(text));
}

/** Waits for such a child, at most `limitMs`; undefined when none came. */
export async function awaitChild(pid: number, text: string, limitMs: number): Promise<number | undefined> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const [child] = findChildren(pid, text);
    if (child !== undefined || performance.now() > deadline) return child;
    await pause(2);
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    // It ended meanwhile.
    return '';
  }
}
