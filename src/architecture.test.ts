import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { checkArchitecture, IMPORT_TABLE, readSources, staticGraph } from '../scripts/check-architecture.ts';
import { scanImports } from '../scripts/scan-imports.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const sources = readSources(join(root, 'src'));

const planted = (path: string, text: string) => checkArchitecture([{ path, text }]).map(({ rule }) => rule);

describe('the house', () => {
  it('holds its import table, its doors, its names and its environment', () => {
    expect(sources.length).toBeGreaterThan(10);
    expect(checkArchitecture(sources).map(({ file, line, rule }) => `src/${file}:${line} ${rule}`)).toEqual(
      [],
    );
  });

  it('starts the model server without a control-plane slice, DuckDB, a database client or an AWS SDK', () => {
    const { files, packages } = staticGraph('start-model-server.ts', sources);
    const slices = new Set(files.filter((file) => file.includes('/')).map((file) => file.split('/')[0]));
    expect(
      [...slices].filter((slice) => !['platform', 'models', 'profiles', 'serving'].includes(slice ?? '')),
    ).toEqual([]);
    expect(packages.filter((name) => /duckdb|aws|^pg$|kysely/.test(name))).toEqual([]);
  });

  it('writes the same import table in ARCHITECTURE.md', async () => {
    const { readFile } = await import('node:fs/promises');
    const page = await readFile(join(root, 'ARCHITECTURE.md'), 'utf8');
    for (const [slice, allowed] of Object.entries(IMPORT_TABLE)) {
      if (slice === 'cli') continue;
      const row = page.split('\n').find((line) => line.startsWith(`| ${slice} |`));
      expect(row, `a row for ${slice}`).toBeDefined();
      const named = (row ?? '').split('|')[2]?.trim();
      expect(named?.split(', '), slice).toEqual(allowed.length === 0 ? ['nothing of ours'] : allowed);
    }
  });
});

describe('the demo', () => {
  it('runs the platform as it is: no other file knows of it or of its data', () => {
    const knowing = sources.filter(
      ({ path, text }) =>
        !/\.(test|suite)\.ts$/.test(path) && /\bdemo\b|phoenix|URL\([^)]*examples\//i.test(text),
    );
    // The list of commands names it, and loads it when it is called.
    expect(knowing.map(({ path }) => path).sort()).toEqual(['cli/command-list.ts', 'cli/demo.ts']);
    const list = sources.find(({ path }) => path === 'cli/command-list.ts')?.text ?? '';
    const lines = list.split('\n').filter((line) => /\bdemo\b/i.test(line));
    expect(lines.map((line) => line.trim())).toEqual([
      "name: 'demo',",
      "load: async () => ({ configure: (await import('./demo.ts')).configureDemo }),",
    ]);
  });
});

describe('a planted violation fails', () => {
  const FORBIDDEN: [string, string][] = [
    ['static', `import { openRun } from '../tracking/index.ts';`],
    ['static', `import {\n  openRun, // from './x.ts'\n} from '../tracking/index.ts';`],
    ['static', `import * as tracking from "../tracking/index.ts"`],
    ['side-effect', `import '../tracking/index.ts';`],
    ['dynamic', `const tracking = await import('../tracking/index.ts');`],
    ['dynamic', 'const tracking = await import(`../tracking/index.ts`);'],
    ['dynamic', `type Run = import('../tracking/index.ts').Run;`],
    ['type-only', `import type { Run } from '../tracking/index.ts';`],
    ['re-export', `export { openRun } from '../tracking/index.ts';`],
    ['re-export', `export * from '../tracking/index.ts';`],
    ['re-export', `export type { Run } from '../tracking/index.ts';`],
  ];
  it.each(FORBIDDEN)('%s: %s', (kind, text) => {
    expect(planted('serving/planted.ts', text)).toEqual([`${kind} import: serving may not import tracking`]);
  });

  it('a door other than index.ts', () => {
    expect(planted('registry/planted.ts', `import { x } from '../tracking/run-store.ts';`)).toEqual([
      'static import of tracking/run-store.ts past the door tracking/index.ts',
    ]);
    const worker = 'new Worker(new URL(`../models/worker${import.meta.url.slice(-3)}`, import.meta.url))';
    expect(planted('serving/planted.ts', worker)).toEqual([
      'url import of models/worker.ts past the door models/index.ts',
    ]);
  });

  it('serving/contract.ts for those that may not read it', () => {
    const text = `import type { DesiredState } from '../serving/contract.ts';`;
    expect(planted('delivery/planted.ts', text)).toEqual([]);
    expect(planted('monitoring/planted.ts', text)).toEqual([]);
    expect(planted('registry/planted.ts', text)).toHaveLength(1);
    expect(planted('delivery/planted.ts', `import { start } from '../serving/index.ts';`)).toHaveLength(1);
  });

  it('commands.ts doors for anyone but src/commands.ts', () => {
    expect(planted('commands.ts', `import { commands } from './tracking/commands.ts';`)).toEqual([]);
    expect(planted('commands.ts', `import { commands } from './tracking/index.ts';`)).toHaveLength(1);
    expect(planted('main.ts', `import { commands } from './tracking/commands.ts';`)).toHaveLength(1);
  });

  it('a slice that imports a composition root, and a folder that nobody knows', () => {
    expect(planted('serving/planted.ts', `import '../main.ts';`)).toHaveLength(1);
    expect(planted('helpers/planted.ts', '')).toEqual([
      'unknown folder src/helpers: add it to the import table first',
    ]);
  });

  it('a computed import, process.env and a camelCase file', () => {
    expect(planted('models/planted.ts', 'await import(name)')).toHaveLength(1);
    expect(planted('models/planted.ts', 'const home = process.env.HOME;')).toHaveLength(1);
    expect(planted('models/planted.ts', `const home = process['env']['HOME'];`)).toHaveLength(1);
    expect(planted('models/planted.test.ts', 'const home = process.env.HOME;')).toEqual([]);
    expect(planted('models/plantedFile.ts', '')).toHaveLength(1);
  });

  it('a floating promise, by the linter', () => {
    const folder = mkdtempSync(join(tmpdir(), 'tidemill-lint-'));
    try {
      writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: { strict: true } }));
      const file = join(folder, 'planted.ts');
      writeFileSync(file, 'async function work(): Promise<void> {}\nwork();\nexport {};\n');
      const args = ['node_modules/oxlint/bin/oxlint', '--type-aware', '-c', '.oxlintrc.json', file];
      const { status, stdout } = spawnSync(process.execPath, args, {
        cwd: root,
        encoding: 'utf8',
        env: { ...process.env, PATH: `${join(root, 'node_modules/.bin')}:${process.env['PATH']}` },
      });
      expect(stdout).toContain('no-floating-promises');
      expect(status).not.toBe(0);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('the scanner', () => {
  it('is not misled by comments, strings, templates and regular expressions', () => {
    const text = [
      `// import '../a.ts';`,
      `/* import '../b.ts'; */`,
      `const words = "import '../c.ts'";`,
      'const nested = `${`import "../d.ts" ${"x"}`} import "../e.ts"`;',
      `const pattern = /import '..\\/f.ts'[/']/;`,
      `const ratio = a / b; import('./real.ts'); const other = c / d;`,
      `object.import('./no.ts');`,
      `export const value = { from: 'no' };`,
      `import.meta.url;`,
    ].join('\n');
    expect(scanImports(text).map(({ specifier }) => specifier)).toEqual(['./real.ts']);
  });

  it('reads the line and what a template leaves open', () => {
    expect(scanImports('\n\nimport(`./worker${suffix}`)')).toEqual([
      { kind: 'dynamic', specifier: './worker', isPartial: true, isTypeOnly: false, line: 3 },
    ]);
  });
});
