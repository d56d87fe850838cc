import { existsSync } from 'node:fs';
import { readFile, realpath, stat } from 'node:fs/promises';
import { registerHooks } from 'node:module';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ConfigError } from '../../platform/index.ts';
import { checkProject, toPlainProject } from './check-project.ts';
import type { Project, ProjectInput } from './project-schema.ts';

/** The names that a project file may have. */
export const PROJECT_FILES = ['ts', 'mts', 'js', 'mjs', 'yaml', 'yml', 'json'].map(
  (extension) => `tidemill.config.${extension}`,
);

export interface LoadedProject {
  /** As it was written: plain JSON. */
  written: ProjectInput;
  /** With every default. */
  project: Project;
  /** Absolute: paths of data are relative to it. */
  folder: string;
  path: string;
}

export interface LoadProjectOptions {
  /** The package's public door, which `import … from 'tidemill'` gives wherever the project file lies. */
  door: URL;
}

/**
 * Loads the project of a folder, or the project file that is named; undefined where the folder has none.
 *
 * @throws ConfigError naming the file, what in it is wrong, and what would be right.
 */
export async function loadProject(
  folderOrFile: string,
  { door }: LoadProjectOptions,
): Promise<LoadedProject | undefined> {
  const path = await findProjectFile(resolve(folderOrFile));
  if (path === undefined) return undefined;
  const written = await readProject(path, door);
  const project = checkProject(written, path);
  return { written: toPlainProject(written), project, folder: dirname(path), path };
}

async function findProjectFile(place: string): Promise<string | undefined> {
  const found = await stat(place).catch(() => {
    throw new ConfigError(`${place} is not there: name a folder, or a file such as tidemill.config.ts`);
  });
  if (!found.isDirectory()) return place;
  const names = PROJECT_FILES.filter((name) => existsSync(join(place, name)));
  if (names.length > 1) {
    throw new ConfigError(`${place} has ${names.join(' and ')}: keep one, or name the file that is meant`);
  }
  return names[0] && join(place, names[0]);
}

async function readProject(path: string, door: URL): Promise<unknown> {
  switch (extname(path)) {
    case '.json':
      return parseText(path, (text) => JSON.parse(text) as unknown);
    case '.yaml':
    case '.yml': {
      const { parse } = await import('yaml');
      return parseText(path, (text) => parse(text) as unknown);
    }
    case '.ts':
    case '.mts':
    case '.js':
    case '.mjs':
      return importProject(path, door);
    default:
      throw new ConfigError(`${path} is no project file: it must be one of ${PROJECT_FILES.join(', ')}`);
  }
}

async function parseText(path: string, parse: (text: string) => unknown): Promise<unknown> {
  const text = await readFile(path, 'utf8');
  try {
    return parse(text.replace(/^\uFEFF/, ''));
  } catch (error) {
    throw new ConfigError(`${path} cannot be read: ${(error as Error).message}`);
  }
}

async function importProject(path: string, door: URL): Promise<unknown> {
  resolvePackage(door);
  const { href } = pathToFileURL(await realpath(path));
  projectUrls.add(href);
  const { mtimeMs } = await stat(path);
  let loaded: { default?: unknown };
  try {
    // The query makes Node read the file anew after it changed.
    loaded = (await import(/* @vite-ignore */ `${href}?changed=${mtimeMs}`)) as typeof loaded;
  } catch (error) {
    // A file may throw what is no error.
    const why = error instanceof Error ? error.message : String(error);
    const missing = /does not provide an export named '(\w+)'/.exec(why)?.[1];
    throw new ConfigError(
      missing === undefined
        ? `${path} cannot be loaded: ${why}`
        : `${path} imports '${missing}', which is not built yet or misspelt: tidemill has defineProject, csv, parquet, jsonLines, dataset, gradientBoosting and linear`,
    );
  }
  if (loaded.default === undefined) {
    throw new ConfigError(
      `${path} has no default export: write export default defineProject({ models: { … } })`,
    );
  }
  return loaded.default;
}

let isResolved = false;
/** The files that were loaded as projects, whatever they are called. */
const projectUrls = new Set<string>();

/** A project may lie where no node_modules has `tidemill`; whoever loads it is that package. */
function resolvePackage(door: URL): void {
  if (isResolved) return;
  isResolved = true;
  registerHooks({
    resolve(specifier, context, next) {
      return specifier === 'tidemill' && isProject(context.parentURL)
        ? { url: door.href, shortCircuit: true }
        : next(specifier, context);
    },
  });
}

function isProject(url: string | undefined): boolean {
  const file = (url ?? '').replace(/\?.*$/, '');
  return projectUrls.has(file) || PROJECT_FILES.includes(basename(file));
}
