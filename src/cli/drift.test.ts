import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, expect, it } from 'vitest';
import { tempDir } from '../../tests/support/index.ts';
import { runCapturedCli } from '../../tests/support/run-captured-cli.ts';
import { createRandom } from '../platform/index.ts';

const cwd = tempDir();

function write(name: string, seed: number, shift = 0): void {
  const random = createRandom(seed);
  const lines = Array.from({ length: 4000 }, () => `${(random() + shift).toFixed(5)},${random() < 0.3}`);
  writeFileSync(join(cwd, name), `amount,late\n${lines.join('\n')}\n`);
}

beforeAll(() => {
  write('january.csv', 1);
  write('february.csv', 2);
  write('april.csv', 3, 0.4);
});

it('writes the report as HTML and JSON, and prints what drifted', async () => {
  const argv = ['drift', 'report', 'january.csv', 'april.csv', '--html', 'out.html', '--json', 'out.json'];
  const { status, stdout, stderr } = await runCapturedCli(argv, { cwd });
  expect(stderr).toBe('');
  expect(status).toBe(0);
  expect(stdout).toMatch(
    /^april\.csv \(4000 rows\) against january\.csv \(4000 rows, 40 windows\)\n1 column drifted\n/,
  );
  expect(stdout).toMatch(/amount +number +drifted +1e-12/);
  expect(JSON.parse(readFileSync(join(cwd, 'out.json'), 'utf8'))).toMatchObject({
    drift: { found: true, columns: ['amount'] },
  });
  expect(readFileSync(join(cwd, 'out.html'), 'utf8')).toMatch(/^<!doctype html>[\s\S]*<\/html>\n$/);
});

it('prints the report as one document under --json without a file', async () => {
  const { status, json } = await runCapturedCli(['drift', 'report', 'january.csv', 'april.csv', '--json'], {
    cwd,
  });
  expect(status).toBe(0);
  expect(json).toMatchObject({ reference: { file: 'january.csv' }, drift: { columns: ['amount'] } });
});

it('checks: status 1 and a line that says what, when something is found', async () => {
  const check = (...argv: string[]) => runCapturedCli(['drift', 'check', 'january.csv', ...argv], { cwd });
  const same = await check('february.csv', '--fail-on', 'drift');
  expect(same).toMatchObject({ status: 0, stderr: '' });
  expect(same.stdout).toBe('✓ february.csv is like january.csv: 2 columns, 6 tests\n');
  const drifted = await check('april.csv', '--fail-on', 'drift');
  expect(drifted).toMatchObject({ status: 1, stdout: '', stderr: 'error: 1 column drifted: amount\n' });
  const quality = await check('april.csv', '--fail-on', 'quality');
  expect(quality.status).toBe(1);
  expect(quality.stderr).toMatch(/^error: amount: range: \d+ rows \(\d+ %\) outside 0 to 1\n$|amount: range/);
  expect((await check('april.csv', '--ignore', 'amount', '--fail-on', 'any')).status).toBe(0);
});

it('fails when a column is missing or nothing could be tested, whatever it is asked to fail on', async () => {
  const lines = Array.from({ length: 400 }, (_, i) => `${i % 7}`);
  writeFileSync(join(cwd, 'other.csv'), `temperature\n${lines.join('\n')}\n`);
  const narrow = readFileSync(join(cwd, 'february.csv'), 'utf8').replaceAll(/,.*$/gm, '');
  writeFileSync(join(cwd, 'narrow.csv'), narrow);
  for (const failOn of ['drift', 'quality', 'any']) {
    const check = (file: string, ...argv: string[]) =>
      runCapturedCli(['drift', 'check', 'january.csv', file, '--fail-on', failOn, ...argv], { cwd });
    const other = await check('other.csv');
    expect(other).toMatchObject({ status: 1, stdout: '' });
    expect(other.stderr).toMatch(
      /^error: 2 columns missing from the current file: amount, late; no column could be tested/,
    );
    const one = await check('narrow.csv');
    expect(one.status).toBe(1);
    expect(one.stderr).toMatch(/^error: 1 column missing from the current file: late(;|\n)/);
    expect(await check('narrow.csv', '--ignore', 'late')).toMatchObject({ status: 0 });
  }
});

it('refuses files that are not there and options that are not right', async () => {
  const missing = await runCapturedCli(['drift', 'report', 'january.csv', 'nowhere.csv'], { cwd });
  expect(missing.status).toBe(1);
  expect(missing.stderr).toMatch(/^error: cannot read nowhere\.csv: ENOENT/);
  const wrong = await runCapturedCli(['drift', 'check', 'january.csv', 'april.csv', '--fail-on', 'rain'], {
    cwd,
  });
  expect(wrong).toMatchObject({ status: 2 });
});

it('hints at --ignore where values never repeat, as ids do', async () => {
  const random = createRandom(7);
  const rows = (from: number) =>
    Array.from(
      { length: 2000 },
      (_, i) =>
        `${from + i},ticket ${from + i},${(random() + from / 2000).toFixed(3)},${(i * 7 + from) % 500}`,
    );
  for (const [name, from] of Object.entries({ 'old.csv': 1, 'new.csv': 2001 }))
    writeFileSync(join(cwd, name), `customer_id,ticket,price,minute\n${rows(from).join('\n')}\n`);
  const hint =
    'note: customer_id: its values seem never to repeat, as those of ids that count on, which always drift; to leave out: --ignore customer_id\n';
  const report = await runCapturedCli(['drift', 'report', 'old.csv', 'new.csv'], { cwd });
  expect(report.stdout).toMatch(/customer_id +number +drifted/);
  expect(report.stdout).toMatch(/price +number +drifted/);
  expect(report.stderr).toBe(hint);
  const check = await runCapturedCli(['drift', 'check', 'old.csv', 'new.csv'], { cwd });
  expect(check.stderr).toContain(hint);
  expect(check.status).toBe(1);
  const without = await runCapturedCli(['drift', 'check', 'january.csv', 'april.csv'], { cwd });
  expect(without.stderr).not.toMatch(/--ignore/);
});
