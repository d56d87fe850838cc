import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** The process that listens on a TCP port, where Linux tells (its own user's processes); else undefined. */
export function findPortHolder(port: number): { pid: number; command: string } | undefined {
  try {
    const sockets = new Set(['tcp', 'tcp6'].flatMap((table) => listeningSockets(table, port)));
    if (sockets.size === 0) return undefined;
    for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
      if (!holdsOne(pid, sockets)) continue;
      const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      return { pid: Number(pid), command: command.length > 80 ? `${command.slice(0, 77)}...` : command };
    }
  } catch {
    // No /proc here: the message does without.
  }
  return undefined;
}

/** Inodes of the sockets in state LISTEN (0A) on the port. */
function listeningSockets(table: string, port: number): string[] {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  return readFileSync(`/proc/net/${table}`, 'utf8')
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1]?.endsWith(suffix) && fields[3] === '0A')
    .map((fields) => `socket:[${fields[9]}]`);
}

function holdsOne(pid: string, sockets: Set<string>): boolean {
  try {
    const files = readdirSync(`/proc/${pid}/fd`);
    return files.some((file) => sockets.has(linkOf(`/proc/${pid}/fd/${file}`)));
  } catch {
    return false; // Gone, or another user's.
  }
}

function linkOf(file: string): string {
  try {
    return readlinkSync(file);
  } catch {
    return '';
  }
}
