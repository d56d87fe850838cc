import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { bundleRelease, EXTERNAL } from './bundle-release.ts';

interface PackageJson {
  name: string;
  version: string;
  description: string;
  license: string;
  bin: Record<string, string>;
  dependencies: Record<string, string>;
}

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * Builds the package that is published into `outDir`: compiled sources with declarations, joined into few files, the
 * executable, and a package.json without the Node packages of the repository. Throws when the compiler finds an error.
 */
export async function buildRelease({
  outDir = join(root, 'dist'),
}: {
  outDir?: string;
} = {}): Promise<{ outDir: string }> {
  rmSync(outDir, { recursive: true, force: true });
  mkdirSync(outDir, { recursive: true });
  const compiler = join(root, 'node_modules/typescript/bin/tsc');
  const args = [compiler, '-p', join(root, 'tsconfig.release.json'), '--outDir', join(outDir, 'lib')];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`the compiler found errors:\n${stdout}${stderr}`);

  await bundleRelease({
    libDir: join(outDir, 'lib'),
    nodeModules: join(root, 'node_modules'),
    noticesPath: join(outDir, 'THIRD-PARTY-NOTICES.txt'),
  });

  // The repository's README speaks of a clone.
  cpSync(join(root, 'docs/package-readme.md'), join(outDir, 'README.md'));
  for (const file of ['LICENSE', 'CHANGELOG.md']) {
    if (existsSync(join(root, file))) cpSync(join(root, file), join(outDir, file));
  }
  // What `demo` lives through, and the projects that the documentation speaks of.
  for (const example of ['flights', 'weather']) {
    cpSync(join(root, 'examples', example), join(outDir, 'examples', example), {
      recursive: true,
      filter: (path) => !path.includes('.tidemill') && !path.endsWith('make-tables.ts'),
    });
  }
  mkdirSync(join(outDir, 'bin'));
  cpSync(join(root, 'bin/tidemill.js'), join(outDir, 'bin/tidemill.js'));
  const source = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as PackageJson;
  writeFileSync(join(outDir, 'package.json'), `${JSON.stringify(releaseManifest(source), null, 2)}\n`);
  return { outDir };
}

/** What the published package.json says; the repository's own also carries tools and a Node for old systems. */
export function releaseManifest(source: PackageJson) {
  return {
    name: source.name,
    version: source.version,
    description: source.description,
    license: source.license,
    type: 'module',
    bin: source.bin,
    exports: { '.': { types: './lib/index.d.ts', default: './lib/index.js' } },
    engines: { node: '>=24.15' },
    // Everything else is inside the files of lib/.
    dependencies: Object.fromEntries(
      Object.entries(source.dependencies).filter(([name]) => EXTERNAL.includes(name)),
    ),
  };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { outDir } = await buildRelease();
  process.stdout.write(`built ${outDir}\n`);
}
