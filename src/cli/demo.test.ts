import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, it } from 'vitest';
import { tempDir } from '../../tests/support/index.ts';
import { makeDemoFolder } from './demo.ts';

it('removes the folders of demos that were killed, and no others', async () => {
  const parent = tempDir();
  const make = (name: string, pid?: number) => {
    const folder = join(parent, name);
    mkdirSync(folder);
    if (pid !== undefined) writeFileSync(join(folder, 'demo.pid'), String(pid));
    return folder;
  };
  const { pid: dead } = spawnSync(process.execPath, ['--version']);
  const stale = make('tidemill-demo-stale', dead);
  const kept = [
    make('tidemill-demo-running', process.pid),
    make('tidemill-demo-unknown'),
    make('other', dead),
  ];

  const folder = await makeDemoFolder(parent);
  expect(existsSync(stale)).toBe(false);
  for (const other of kept) expect(existsSync(other), other).toBe(true);
  expect(basename(folder)).toMatch(/^tidemill-demo-/);
  expect(readFileSync(join(folder, 'demo.pid'), 'utf8')).toBe(String(process.pid));
});
