import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { runCapturedCli } from '../../tests/support/run-captured-cli.ts';

const DAY_MS = 86_400_000;

it('shows windows in a table and says beside it what its words mean', async () => {
  const window = (day: number, more: object) => ({
    from: day * DAY_MS,
    to: (day + 1) * DAY_MS,
    version: '1',
    rows: 500,
    late_rows: 0,
    state: 'tested',
    ...more,
  });
  const windows = [
    window(1, {
      tests: [{ column: '@score', aspect: 'values', p: 1e-9, psi: 0.4 }],
      performance: { state: 'tested', metric: 'log_loss', value: 0.61234, coverage: 0.9, p: 0.00012 },
    }),
    window(0, { performance: { state: 'reference', metric: 'log_loss', value: 0.5, coverage: 1 } }),
  ];
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ windows }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const shown = await runCapturedCli(['windows', 'flights', '--url', url]);
  expect(shown.status).toBe(0);
  expect(shown.stdout).toMatch(/500 +@score +log_loss 0\.612, p 0\.00012 +90 %\n/);
  expect(shown.stdout).toMatch(/500 +none +log_loss 0\.500 \(reference\) +100 %\n/);
  for (const word of ['@score is', 'p is', '(reference) is']) expect(shown.stderr).toContain(word);
  const piped = await runCapturedCli(['windows', 'flights', '--url', url, '--json']);
  expect(piped).toMatchObject({ stderr: '', json: { windows: [{ rows: 500 }, { rows: 500 }] } });
});
