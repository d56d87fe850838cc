import { readdirSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { type FoundImport, readsEnvironment, scanImports } from './scan-imports.ts';

/** What each slice may import of ours; the same table as in ARCHITECTURE.md. */
export const IMPORT_TABLE: Record<string, readonly string[]> = {
  platform: [],
  artifacts: ['platform'],
  models: ['platform'],
  profiles: ['platform'],
  statistics: ['platform'],
  jobs: ['platform'],
  features: ['platform', 'models'],
  serving: ['platform', 'models', 'profiles'],
  datasets: ['platform', 'artifacts', 'profiles'],
  tracking: ['platform', 'artifacts'],
  training: ['platform', 'datasets', 'features', 'models', 'profiles', 'statistics'],
  registry: ['platform', 'artifacts', 'models', 'tracking', 'jobs'],
  monitoring: ['platform', 'artifacts', 'datasets', 'models', 'profiles', 'statistics', 'registry', 'jobs'],
  delivery: ['platform', 'datasets', 'models', 'statistics', 'registry', 'monitoring', 'jobs'],
  pipelines:
    'platform artifacts models profiles statistics jobs features datasets tracking training registry monitoring delivery'.split(
      ' ',
    ),
  cli: ['*'],
};

/** Slices that may read `serving/contract.ts`, the model server's second door. */
const CONTRACT_READERS = ['monitoring', 'delivery'];

/** Files that start a process, and so may read `process.env`. */
const ENTRY_POINTS = ['cli/main.ts', 'model-server-process.ts'];

/** Places that import what only the running process knows, each with the reason. */
const COMPUTED_IMPORTS: Record<string, string> = {
  'pipelines/project/load-project.ts': 'a project file is code of the user, wherever it lies',
  'platform/database/commands-module.ts': 'the module of commands is named to the writer thread by its URL',
};

export interface Violation {
  file: string;
  line: number;
  rule: string;
}

export interface SourceFile {
  /** Relative to `src/`, with forward slashes. */
  path: string;
  text: string;
}

/** Checks sources against the house's rules; an empty list means that they hold. */
export function checkArchitecture(files: SourceFile[]): Violation[] {
  const violations: Violation[] = [];
  for (const file of files) {
    const add = (line: number, rule: string) => violations.push({ file: file.path, line, rule });
    const slice = sliceOf(file.path);
    if (slice && !(slice in IMPORT_TABLE))
      add(0, `unknown folder src/${slice}: add it to the import table first`);
    if (!/^[a-z0-9]+(-[a-z0-9]+)*(\.(test|suite))?\.ts$/.test(posix.basename(file.path))) {
      add(0, `file name is not kebab-case`);
    }
    const isTest = /\.(test|suite)\.ts$/.test(file.path);
    if (!isTest && !ENTRY_POINTS.includes(file.path) && readsEnvironment(file.text)) {
      add(0, 'only entry points read process.env: take the value as a parameter');
    }
    for (const found of scanImports(file.text)) {
      const rule = checkImport(file.path, found, isTest);
      if (rule) add(found.line, rule);
    }
  }
  return violations;
}

function checkImport(from: string, found: FoundImport, isTest: boolean): string | undefined {
  if (found.specifier === '' || (found.isPartial && !found.specifier.startsWith('.'))) {
    if (isTest || from in COMPUTED_IMPORTS) return undefined;
    return `${found.kind} import of a computed name: nobody can check what it loads`;
  }
  if (!found.specifier.startsWith('.')) return undefined;
  const target = resolveImport(from, found);
  const slice = sliceOf(from);
  if (target.startsWith('../')) {
    const isData =
      found.kind === 'url' && /^\.\.\/(package\.json|examples\/|bin\/tidemill\.js$)/.test(target);
    return isTest || isData ? undefined : `${found.kind} import of ${target} from outside src/`;
  }
  const targetSlice = sliceOf(target);
  if (targetSlice === slice) return undefined;
  if (targetSlice === undefined) {
    const isComposition = slice === 'cli' || isTest;
    return isComposition ? undefined : `${found.kind} import of the composition root ${target} from a slice`;
  }
  const door = target.slice(targetSlice.length + 1);
  if (door !== 'index.ts') {
    const isContract =
      targetSlice === 'serving' && door === 'contract.ts' && slice && CONTRACT_READERS.includes(slice);
    const isCommands = from === 'commands.ts' && door === 'commands.ts';
    if (isContract || isCommands) return undefined;
    return `${found.kind} import of ${target} past the door ${targetSlice}/index.ts`;
  }
  if (from === 'commands.ts' && targetSlice !== 'platform') {
    return `${found.kind} import of ${target}: the writer thread loads commands.ts doors only`;
  }
  if (slice === undefined) return undefined;
  const allowed = IMPORT_TABLE[slice] ?? [];
  if (allowed.includes('*') || allowed.includes(targetSlice)) return undefined;
  return `${found.kind} import: ${slice} may not import ${targetSlice}`;
}

/** The files that `entry` loads at start: static imports that remain at run time, followed to the end. */
export function staticGraph(
  entry: string,
  files: SourceFile[],
  { dynamic = false }: { dynamic?: boolean } = {},
): { files: string[]; packages: string[] } {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const seen = new Set<string>();
  const packages = new Set<string>();
  const visit = (path: string) => {
    const file = byPath.get(path);
    if (!file || seen.has(path)) return;
    seen.add(path);
    for (const found of scanImports(file.text)) {
      if (found.isTypeOnly || found.kind === 'url' || (found.kind === 'dynamic' && !dynamic)) continue;
      if (found.specifier.startsWith('.')) visit(resolveImport(path, found));
      else if (found.specifier !== '') packages.add(found.specifier);
    }
  };
  visit(entry);
  return { files: [...seen], packages: [...packages] };
}

/** Every TypeScript file under `root`, which is the `src` folder. */
export function readSources(root: string): SourceFile[] {
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .map((path) => ({
      path: path.slice(root.length).replaceAll('\\', '/').replace(/^\//, ''),
      text: readFileSync(path, 'utf8'),
    }));
}

function sliceOf(path: string): string | undefined {
  return path.includes('/') ? path.slice(0, path.indexOf('/')) : undefined;
}

function resolveImport(from: string, found: FoundImport): string {
  const target = posix.join(posix.dirname(from), found.specifier);
  return found.isPartial && !/\.[a-z]+$/.test(target) ? `${target}.ts` : target;
}
