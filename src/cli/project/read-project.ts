import { readdir } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { LoadedProject } from '../../pipelines/index.ts';
import { CliError, usageError } from '../terminal/cli-error.ts';
import type { Io } from '../terminal/terminal.ts';

/** The package's public door, for project files that import `tidemill`. */
const DOOR = new URL(`../../index${import.meta.url.slice(-3)}`, import.meta.url);

/** The project of a folder or file, `undefined` where a folder has none; what is wrong with one is wrong usage. */
export async function findProject(io: Io, place: string): Promise<LoadedProject | undefined> {
  // What reads a project loads most of the platform, before which nothing else has begun.
  const names = await readdir(resolve(io.cwd, place)).catch(() => undefined);
  if (names?.every((name) => !name.startsWith('tidemill.config.'))) return undefined;
  const { loadProject } = await import('../../pipelines/index.ts');
  try {
    return await loadProject(resolve(io.cwd, place), { door: DOOR });
  } catch (error) {
    if ((error as Error).name === 'ConfigError') throw usageError((error as Error).message);
    throw error;
  }
}

/** As `findProject`, where there must be one. */
export async function readProject(io: Io, place: string): Promise<LoadedProject> {
  const found = await findProject(io, place);
  if (found !== undefined) return found;
  throw new CliError(
    `${resolve(io.cwd, place)} has no project: write a tidemill.config.ts, or let \`tidemill init\` write one`,
    { exit: 'usage' },
  );
}
