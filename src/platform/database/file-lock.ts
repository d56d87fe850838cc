import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { ApiError } from '../errors.ts';

export interface LockHolder {
  pid: number;
  /** ISO 8601. */
  since: string;
  command: string;
}

/**
 * Makes this process the only one that opens `databasePath`. The lock itself is the operating system's, taken by
 * SQLite on an empty file next to the database, so it ends with the process however that dies; a JSON file beside it
 * only tells who holds it. Throws RESOURCE_CONFLICT that names the holder.
 */
export function lockDatabaseFile(databasePath: string, holder: LockHolder): { release(): void } {
  const lockPath = `${databasePath}.lock`;
  const holderPath = `${lockPath}.json`;
  const lock = new DatabaseSync(lockPath, { timeout: 0 });
  try {
    lock.exec('begin exclusive');
  } catch (error) {
    lock.close();
    if ((error as { errcode?: number }).errcode !== SQLITE_BUSY) throw error;
    throw new ApiError('RESOURCE_CONFLICT', describeHolder(databasePath, readHolder(holderPath)));
  }
  const draft = `${holderPath}.${holder.pid}`;
  writeFileSync(draft, JSON.stringify(holder), { mode: 0o600 });
  renameSync(draft, holderPath);
  let held = true;
  return {
    release() {
      if (!held) return;
      held = false;
      rmSync(holderPath, { force: true });
      lock.close();
    },
  };
}

const SQLITE_BUSY = 5;

function readHolder(path: string): LockHolder | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as LockHolder;
  } catch {
    return undefined;
  }
}

function describeHolder(databasePath: string, holder: LockHolder | undefined): string {
  const who = holder
    ? `process ${holder.pid} (${holder.command}) since ${holder.since}`
    : 'another process that is just starting or stopping';
  return `The database ${databasePath} is in use by ${who}. Stop that process, or talk to its server by --url instead.`;
}
