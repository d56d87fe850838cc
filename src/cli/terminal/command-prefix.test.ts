import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { tempDir } from '../../../tests/support/index.ts';
import { runCapturedCli } from '../../../tests/support/run-captured-cli.ts';
import { commandPrefix, commandPrefixIn, withCommandPrefix } from './command-prefix.ts';

/** A folder of executables that holds the program, as a global installation leaves it. */
function installed(): string {
  const folder = tempDir();
  const file = join(folder, process.platform === 'win32' ? 'tidemill.cmd' : 'tidemill');
  writeFileSync(file, '');
  chmodSync(file, 0o755);
  return folder;
}

it('says `tidemill` where the shell finds it, and `npx tidemill` in a clone or under npx', () => {
  const PATH = installed();
  expect(commandPrefix({ PATH })).toBe('tidemill');
  expect(commandPrefix({ PATH: tempDir() })).toBe('npx tidemill');
  expect(commandPrefix({})).toBe('npx tidemill');
  expect(commandPrefix({ PATH, npm_command: 'exec' })).toBe('npx tidemill');
});

it('names the program by its path in a folder from where npx does not find it', () => {
  const outside = tempDir();
  expect(commandPrefixIn(outside, {})).toMatch(/^node .*bin.tidemill\.js$/);
  expect(commandPrefixIn(outside, { PATH: installed() })).toBe('tidemill');
  expect(commandPrefixIn(import.meta.dirname, {})).toBe('npx tidemill');
  mkdirSync(join(outside, 'node_modules', 'tidemill'), { recursive: true });
  expect(commandPrefixIn(join(outside, 'churn'), {})).toBe('npx tidemill');
});

it('rewrites the commands in a text once, and leaves other words alone', () => {
  const text =
    'start it with `tidemill up`, or: tidemill serve. The folder .tidemill, `npx tidemill up` and tidemill itself';
  const rewritten = withCommandPrefix(text, {});
  expect(rewritten).toContain('`npx tidemill up`, or: npx tidemill serve. The');
  expect(withCommandPrefix(rewritten, {})).toBe(rewritten);
  expect(withCommandPrefix(text, { PATH: installed() })).toBe(text);
});

it('prints hints and examples that can be typed', async () => {
  const argv = ['models', '--url', 'http://127.0.0.1:9'];
  expect((await runCapturedCli(argv)).stderr).toContain('`npx tidemill up`');
  expect((await runCapturedCli(argv, { env: { PATH: installed() } })).stderr).toContain('`tidemill up`');
  expect((await runCapturedCli(['train', '--help'])).stdout).toContain('$ npx tidemill train examples');
});
