import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, inject, it } from 'vitest';
import { createPostgresDatabase, tempDir } from '../../tests/support/index.ts';
import type { CrashPoint, JobStep } from './index.ts';

const script = fileURLToPath(new URL('../../tests/support/jobs-until-killed.ts', import.meta.url));

/** Runs the process to its end and answers how it ended and what it printed. */
async function work(url: string, folder: string, point = '', step = '') {
  const child = spawn(process.execPath, [script, url, folder, point, step], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.on('data', (bytes: Buffer) => {
    printed += bytes.toString();
  });
  const signal = await new Promise<string | null>((resolve) => child.once('close', (_, by) => resolve(by)));
  return { signal, printed };
}

const lines = (path: string) => readFileSync(path, 'utf8').trim().split('\n');

const points: CrashPoint[] = ['before-effect', 'after-effect', 'after-record'];

const kinds = [
  ['sqlite', false],
  ['postgres', 'problem' in inject('postgresServer')],
] as const;

describe.each(kinds)('a process that is killed while it works on a job (%s)', (dialect, isMissing) => {
  // Most of a killed process's time is waited: for its start, and for the lease of the one before.
  it.skipIf(isMissing).each(points)(
    'leaves a run that the next one completes, with no effect twice (%s of every step)',
    { timeout: 180_000, concurrent: true },
    async (point) => {
      const folder = tempDir();
      const { url, drop } =
        dialect === 'sqlite'
          ? { url: `sqlite:${join(folder, 'tidemill.db')}`, drop: async () => {} }
          : await createPostgresDatabase();
      for (const step of ['ingest', 'train', 'deliver']) {
        expect(await work(url, folder, point, step)).toEqual({ signal: 'SIGKILL', printed: '' });
      }
      const { signal, printed } = await work(url, folder);
      expect(signal).toBeNull();
      const { status, output, steps } = JSON.parse(printed) as {
        status: string;
        output: string;
        steps: JobStep[];
      };
      expect({ status, output }).toEqual({ status: 'succeeded', output: 'done' });
      expect(lines(join(folder, 'effects')).map((key) => key.split('/')[1])).toEqual([
        'ingest',
        'train',
        'deliver',
      ]);
      // What was recorded is not called again; what was not is.
      const calls = lines(join(folder, 'calls')).map((key) => key.split('/')[1]);
      const expected = { 'before-effect': 1, 'after-effect': 2, 'after-record': 1 }[point];
      for (const step of ['ingest', 'train', 'deliver']) {
        expect(calls.filter((name) => name === step)).toHaveLength(expected);
      }
      const interrupted = steps.map(
        ({ attempts }) => attempts.filter(({ outcome }) => outcome === 'interrupted').length,
      );
      expect(interrupted).toEqual(point === 'after-record' ? [0, 0, 0] : [1, 1, 1]);
      await drop();
    },
  );
});
