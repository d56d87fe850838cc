import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { readSources } from '../scripts/check-architecture.ts';

const src = fileURLToPath(new URL('../src', import.meta.url));

/** What the platform starts by `fork`, by its file; model servers and the platform itself stand on their own. */
const CHILDREN = [
  'datasets/table-process.ts',
  'delivery/judge/judge-process.ts',
  'monitoring/evaluation/evaluation-process.ts',
  'monitoring/log/process/log-process.ts',
  'monitoring/log/query/process/query-process.ts',
];

it('knows every child process that the slices start by its file', () => {
  const started = readSources(src).flatMap(({ path, text }) =>
    [...text.matchAll(/fork\(new URL\(`\.\/([\w/-]+)\$/g)].map(
      ([, file]) => `${path.slice(0, path.lastIndexOf('/'))}/${file}.ts`,
    ),
  );
  expect(started.sort()).toEqual(CHILDREN);
  const steps = readFileSync(`${src}/jobs/processes/serve-steps.ts`, 'utf8');
  expect(steps, 'the step process, whose own test kills its parent').toContain('endWithParent()');
});

it.each(CHILDREN)('ends with its parent in the midst of work: %s', async (entry) => {
  const parent = spawn(
    process.execPath,
    [fileURLToPath(new URL('./support/child-parent.ts', import.meta.url)), `${src}/${entry}`],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const pid = Number(
    await new Promise<string>((resolve) => createInterface({ input: parent.stdout }).once('line', resolve)),
  );
  expect(isAlive(pid)).toBe(true);
  parent.kill('SIGKILL');
  await expect.poll(() => isAlive(pid)).toBe(false);
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
