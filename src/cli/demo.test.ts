import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { runProcess } from '../../tests/support/run-process.ts';

const BIN = fileURLToPath(new URL('../../bin/tidemill.js', import.meta.url));

it('trains, lives through two weeks, retrains and judges, without a failed request', {
  timeout: 600_000,
}, async () => {
  const args = ['demo', '--exit', '--json', '--weeks', '2', '--port', '0', '--serve-port', '0'];
  const { status, stdout, stderr } = await runProcess(process.execPath, [BIN, ...args]);
  expect(status, stderr).toBe(0);
  const lines = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(lines).toHaveLength(3);
  const [first, second, summary] = lines;
  expect(first).toMatchObject({ week: '2001-01-29', requests: 2060, errors: 0 });
  expect(second).toMatchObject({ week: '2001-02-05', requests: 3622, errors: 0 });
  expect(second.auc).toBeGreaterThan(0.75);
  // On the first Monday it retrained, and the gate said something.
  expect(second.decisions.join()).toMatch(/02-05 v2 (better|non-inferior|inconclusive|worse)/);
  expect(summary).toMatchObject({ weeks: 2, errors: 0, retrainings: 1 });
  expect(summary.labels).toBe(1539 + 3622);
});
