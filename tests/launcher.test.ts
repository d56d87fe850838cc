import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { tempDir } from './support/index.ts';
import { spawnPlatform } from './support/spawn-platform.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const BIN = join(root, 'bin/tidemill.js');
const oldNode = findOldNode();
const packagedNode = existsSync(join(root, `node_modules/node-${process.platform}-${process.arch}/bin/node`));

if (!oldNode)
  process.stdout.write('skipped: the launcher under an old Node, because PATH has none older than 24.15\n');

describe('bin/tidemill.js', () => {
  it('runs under a recent Node in the same process', () => {
    const { status, stdout } = spawnSync(process.execPath, [BIN, '--version'], { encoding: 'utf8' });
    expect([status, stdout]).toEqual([0, expect.stringMatching(/^\d+\.\d+\.\d+\n$/)]);
  });

  it.each(['await new Promise(() => {});', 'process.exit(0);'])(
    'fails when a project file never comes back: %s',
    (text) => {
      const cwd = tempDir();
      writeFileSync(join(cwd, 'tidemill.config.mjs'), text);
      const options = { cwd, encoding: 'utf8' } as const;
      const { status, stderr } = spawnSync(process.execPath, [BIN, 'apply', '--dry-run'], options);
      expect([status, stderr]).toEqual([1, expect.stringContaining('the command ended before it was done')]);
    },
  );

  it('parses where there is neither a static import nor a recent syntax', () => {
    // A CommonJS script is how Node before 12 would read it.
    const copy = join(tempDir(), 'tidemill.cjs');
    cpSync(BIN, copy);
    expect(spawnSync(process.execPath, ['--check', copy], { encoding: 'utf8' }).status).toBe(0);
  });

  it.skipIf(!oldNode || !packagedNode)(
    'starts itself again under the packaged Node where Node is old',
    () => {
      const { status, stdout } = spawnSync(oldNode as string, [BIN, '--version'], { encoding: 'utf8' });
      expect([status, stdout]).toEqual([0, expect.stringMatching(/^\d+\.\d+\.\d+\n$/)]);
      expect(spawnSync(oldNode as string, [BIN, 'nope'], { encoding: 'utf8' }).status).toBe(2);
    },
  );

  it.skipIf(!oldNode)('says in one line what to install where there is no packaged Node', () => {
    const folder = tempDir();
    mkdirSync(join(folder, 'bin'));
    cpSync(BIN, join(folder, 'bin/tidemill.js'));
    writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
    const { status, stderr } = spawnSync(oldNode as string, [join(folder, 'bin/tidemill.js')], {
      encoding: 'utf8',
    });
    expect(status).toBe(1);
    expect(stderr.trim().split('\n')).toEqual([
      expect.stringMatching(/^tidemill needs Node.js 24.15 or newer, and this is v\d+\.\d+\.\d+: install /),
    ]);
  });

  it.skipIf(!oldNode || !packagedNode)(
    'passes SIGTERM on to the Node that it started, and ends with it',
    async () => {
      const platform = await spawnPlatform({ dataDir: join(tempDir(), 'data'), node: oldNode as string });
      const pid = Number(platform.document['pid']);
      expect(pid).not.toBe(platform.child.pid);
      expect(await platform.stop()).toBe(0);
      expect(() => process.kill(pid, 0)).toThrow('ESRCH');
      expect(() => process.kill(platform.servePid, 0)).toThrow('ESRCH');
    },
  );

  it.skipIf(!oldNode || !packagedNode)(
    'leaves no process behind when the launcher itself is killed',
    async () => {
      const platform = await spawnPlatform({ dataDir: join(tempDir(), 'data'), node: oldNode as string });
      const pid = Number(platform.document['pid']);
      await platform.kill();
      const isAlive = (id: number) => {
        try {
          return process.kill(id, 0);
        } catch {
          return false;
        }
      };
      const alive = () => isAlive(pid) || isAlive(platform.servePid);
      await expect.poll(alive, { interval: 100 }).toBe(false);
    },
  );
});

/** A node on PATH that is too old to run Tidemill by itself. */
function findOldNode(): string | undefined {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const candidate = join(folder, process.platform === 'win32' ? 'node.exe' : 'node');
    if (!existsSync(candidate)) continue;
    const version = spawnSync(candidate, ['--version'], { encoding: 'utf8' }).stdout;
    const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number);
    if (major > 0 && (major < 24 || (major === 24 && minor < 15))) return candidate;
  }
  return undefined;
}
