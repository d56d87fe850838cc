import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildRelease } from '../scripts/build-release.ts';
import { tempDir } from './support/index.ts';
import { runProcess } from './support/run-process.ts';
import { spawnPlatform } from './support/spawn-platform.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

describe('the package that is published', () => {
  let folder: string;
  let tarball: string;
  let dist: string;

  beforeAll(async () => {
    folder = tempDir();
    dist = join(folder, 'dist');
    await buildRelease({ outDir: dist });
    const packed = await npm(['pack', dist, '--pack-destination', folder, '--json'], folder);
    expect(packed.stderr).not.toContain('npm error');
    tarball = join(folder, readdirSync(folder).find((name) => name.endsWith('.tgz')) as string);
  }, 300_000);

  it('holds compiled sources, declarations and no tests, tools or Node of its own', () => {
    const all = readdirSync(dist, { recursive: true }) as string[];
    expect(all).toContain('examples/flights/tidemill.config.ts');
    expect(all).toContain('examples/flights/live.parquet');
    const files = all.filter((file) => !file.startsWith('examples'));
    expect(files).toContain('lib/cli/main.js');
    expect(files).toContain('lib/index.d.ts');
    expect(files).toContain('THIRD-PARTY-NOTICES.txt');
    expect(files.filter((file) => /\.test\.|testsuite|(?<!\.d)\.ts$/.test(file))).toEqual([]);
    const manifest = JSON.parse(readFileSync(join(dist, 'package.json'), 'utf8'));
    expect(manifest).not.toHaveProperty('optionalDependencies');
    expect(manifest).not.toHaveProperty('devDependencies');
    expect(manifest).not.toHaveProperty('private');
    expect(manifest.engines).toEqual({ node: '>=24.15' });
    const readme = readFileSync(join(dist, 'README.md'), 'utf8');
    expect(readme).toContain('Node.js 24.15 or newer');
    expect(readme).not.toMatch(/npm ci|npx/);
    for (const version of Object.values(manifest.dependencies)) expect(version).toMatch(/^\d/);
    const sources = files
      .filter((file) => file.endsWith('.js'))
      .map((file) => readFileSync(join(dist, file), 'utf8'));
    expect(sources.filter((text) => /(from|import\() ?['"]\.{1,2}\/[^'"]*\.ts['"]/.test(text))).toEqual([]);
    expect(sources.filter((text) => /new URL\(['"]\.[^'"]*\.ts['"]/.test(text))).toEqual([]);
  });

  it('installs and runs in an empty folder', { timeout: 600_000 }, async (context) => {
    const project = tempDir();
    writeFileSync(join(project, 'package.json'), '{"name":"empty","private":true}');
    const installed = await npm(
      ['install', tarball, '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund'],
      project,
    );
    if (
      installed.status !== 0 &&
      /E(NOTFOUND|AI_AGAIN|CONNREFUSED|TIMEDOUT|NOTCACHED)/.test(installed.stderr)
    ) {
      process.stdout.write('skipped: installing the package, because the npm registry cannot be reached\n');
      context.skip();
    }
    expect(installed.stderr).not.toContain('npm error');
    const bin = join(project, 'node_modules/tidemill/bin/tidemill.js');
    expect(existsSync(join(project, 'node_modules/.bin/tidemill'))).toBe(true);
    const version = await runProcess(process.execPath, [bin, '--version'], { cwd: project });
    expect(version.stdout.trim()).toBe(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version);

    const platform = await spawnPlatform({ dataDir: join(project, 'data'), bin });
    try {
      const trained = await runProcess(
        process.execPath,
        [
          bin,
          'train',
          join(root, 'examples/iris/iris.csv'),
          '--target',
          'species',
          '--name',
          'iris',
          '--promote',
        ],
        { cwd: project, env: { ...process.env, TIDEMILL_URL: platform.url } },
      );
      expect(trained.stderr).not.toContain('error');
      expect(trained.status).toBe(0);
    } finally {
      expect(await platform.stop()).toBe(0);
    }
  });
});

function npm(args: string[], cwd: string) {
  // What an outer npm run sets would apply the repository's settings here too.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
  return runProcess('npm', args, {
    cwd,
    env,
    timeout: 240_000,
    shell: process.platform === 'win32',
  });
}
