import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { expect, it } from 'vitest';
import { tempDir } from '../../../tests/support/index.ts';
import { makeOwnFolder } from './own-folder.ts';

it('removes the folders of processes that were killed, and no others', async () => {
  const parent = tempDir();
  const make = (name: string, pid?: number) => {
    const folder = join(parent, name);
    mkdirSync(folder);
    if (pid !== undefined) writeFileSync(join(folder, 'owner.pid'), String(pid));
    return folder;
  };
  const { pid: dead } = spawnSync(process.execPath, ['--version']);
  const stale = make('tidemill-own-stale', dead);
  const kept = [make('tidemill-own-running', process.pid), make('tidemill-own-unknown'), make('other', dead)];

  const folder = await makeOwnFolder(parent, 'tidemill-own-');
  expect(existsSync(stale)).toBe(false);
  for (const other of kept) expect(existsSync(other), other).toBe(true);
  expect(basename(folder)).toMatch(/^tidemill-own-/);
  expect(readFileSync(join(folder, 'owner.pid'), 'utf8')).toBe(String(process.pid));
});
