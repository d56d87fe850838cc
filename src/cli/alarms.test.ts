import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { runCapturedCli } from '../../tests/support/run-captured-cli.ts';

const DAY_MS = 86_400_000;

/** A control plane that answers the same to everything. */
async function answer(document: object): Promise<string> {
  const server = createServer((_, response) => {
    response.setHeader('content-type', 'application/json').end(JSON.stringify(document));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

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
      performance: {
        state: 'tested',
        metric: 'log_loss',
        value: 0.61234,
        coverage: 0.9,
        p: 0.00012,
        reference: { mean: 0.2512, sd: 0.02, windows: 12 },
      },
    }),
    window(0, { performance: { state: 'reference', metric: 'log_loss', value: 0.5, coverage: 1 } }),
  ];
  const url = await answer({ windows });
  const shown = await runCapturedCli(['windows', 'flights', '--url', url]);
  expect(shown.status).toBe(0);
  expect(shown.stdout).toMatch(/500 +@score +log_loss 0\.612, p 0\.00012 +90 %\n/);
  expect(shown.stdout).toMatch(/500 +none +log_loss 0\.500 \(reference\) +100 %\n/);
  expect(shown.stderr).toContain(
    'version 1 is compared with log_loss as skill (1: perfect, 0: a guesser) 0.251 ± 0.020, its own 12 windows',
  );
  for (const word of ['@score is', 'p is', '(reference) is', 'blind to concept drift'])
    expect(shown.stderr).toContain(word);
  const piped = await runCapturedCli(['windows', 'flights', '--url', url, '--json']);
  expect(piped).toMatchObject({ stderr: '', json: { windows: [{ rows: 500 }, { rows: 500 }] } });
});

it('says beside windows and alarms that drift has not been tested, and what to do', async () => {
  const untested = { windows: 3, since: DAY_MS, state: 'partial' };
  const window = { from: DAY_MS, to: 2 * DAY_MS, version: '1', rows: 500, late_rows: 0, state: 'partial' };
  const shown = await runCapturedCli([
    'windows',
    'flights',
    '--url',
    await answer({ windows: [window], has_older: true, untested }),
  ]);
  const alarms = await answer({ alarms: [], untested: [{ model: 'flights', ...untested }] });
  const listed = await runCapturedCli(['alarms', '--url', alarms]);
  expect(listed.stdout).toBe('No alarms.\n');
  expect(shown.stderr).toContain('left out: windows older than these 1; --limit shows more');
  for (const { stderr } of [shown, listed]) {
    expect(stderr).toMatch(/drift of flights has not been tested for 3 windows in a row, since 1970-01-02/);
    expect(stderr).toContain('promote less often');
  }
});

it('counts in the status the models whose drift is not tested, where there are any', async () => {
  const status = (unwatched: number) => ({
    version: '1.2.3',
    database: { dialect: 'sqlite' },
    uptime_ms: 1,
    counts: { models: 3, open_alarms: 0, paused_rollouts: 0, unwatched_models: unwatched },
    models: [],
    model_servers: [],
  });
  const shown = async (unwatched: number) => {
    const url = await answer(status(unwatched));
    return (await runCapturedCli(['status', '--url', url, '--serve-url', url])).stdout;
  };
  expect(await shown(2)).toMatch(/2 models whose drift nothing has tested .* tidemill alarms\n3 models\n/);
  expect(await shown(0)).not.toContain('drift');
});

it('shows what differs within segments, and with what they were compared', async () => {
  const segment = { column: 'city', value: 'DEN', rows: 284, share: 0.142, test_count: 4 };
  const test = { column: 'amount', aspect: 'values', rows: 284, psi: 0.912, p: 1e-9, drifted: true };
  const window = {
    from: 0,
    to: DAY_MS,
    version: '1',
    rows: 2000,
    late_rows: 12,
    state: 'tested',
    note: 'The reference has 12 windows of its own',
    tests: [],
    segments: [
      { ...segment, reference_share: 0.15, against: 'segment', tests: [test] },
      { ...segment, value: 'BOS', against: 'reference', tests: [] },
    ],
  };
  const url = await answer({ windows: [window] });
  const all = await runCapturedCli(['windows', 'flights', '--url', url]);
  expect(all.stdout).toMatch(/2000 \+ 12 late +none/);
  expect(all.stderr).toContain('tidemill windows flights --by-segment');
  expect(all.stderr).toContain('of the newest window: The reference has 12 windows of its own');
  const shown = await runCapturedCli(['windows', 'flights', '--by-segment', '--url', url]);
  expect(shown.stdout).toMatch(/city=DEN +284 +14\.2 % +15\.0 % +amount \(PSI 0\.91\)\n/);
  expect(shown.stdout).toMatch(/city=BOS +284 +14\.2 % +unknown +nothing\n/);
  expect(shown.stderr).toContain('it raises no alarm');
  const none = await answer({ windows: [{ ...window, segments: undefined }] });
  const without = await runCapturedCli(['windows', 'flights', '--by-segment', '--url', none]);
  expect(without.stdout).toMatch(/No segment of flights .* monitor\.segments/);
});

it('shows an alarm with the values that moved and where, or what a change of performance is made of', async () => {
  const alarm = {
    id: 3,
    model: 'flights',
    version: '1',
    kind: 'drift',
    column: 'hour',
    aspect: 'values',
    state: 'open',
    opened_at: DAY_MS,
    window: { from: 0, to: DAY_MS },
    text: 'flights 1: hour differs from the reference',
    evidence: {
      p: 1e-9,
      psi: 0.4,
      rows: 500,
      importance: 0.25,
      moved: [{ label: 'from 20', reference: 0.094, window: 0.31 }],
      by_segment: [{ segment: 'carrier=AA', rows: 220, psi: 0.9, p: 1e-6 }],
      unseen_values: [{ value: 'XYZ', rows: 31 }],
      sequence: { log_m: 13.4, log_threshold: 11.2 },
    },
  };
  const drift = await runCapturedCli(['alarms', 'show', '3', '--url', await answer(alarm)]);
  expect(drift.status).toBe(0);
  expect(drift.stdout).toMatch(/importance +25\.0 %\n/);
  expect(drift.stdout).toMatch(/log M 13\.4; the alarm is at 11\.2\n/);
  expect(drift.stdout).toMatch(/new values +XYZ \(31 rows\)\n/);
  expect(drift.stdout).toMatch(/from 20 +9\.4 % +31\.0 %\n/);
  expect(drift.stdout).toMatch(/carrier=AA +220 +0\.900 +0\.0000010\n/);
  const change = {
    of: 'share of wrong answers',
    before: 0.1,
    now: 0.3,
    mix: 0,
    behaviour: 0.2,
    segments: [{ segment: 'SFO', share: { before: 0.5, now: 0.5 }, mean: { before: 0.1, now: 0.5 } }],
  };
  const worse = { ...alarm, kind: 'performance', evidence: { p: 1e-4, segments: { carrier: change } } };
  const performance = await runCapturedCli(['alarms', 'show', '3', '--url', await answer(worse)]);
  expect(performance.stdout).toContain('+0.2000 because the same rows do otherwise');
  expect(performance.stdout).toMatch(/SFO +50\.0 % +50\.0 % +0\.1000 +0\.5000\n/);
  const mistyped = await runCapturedCli(['alarms', 'show', 'hour', '--url', await answer(alarm)]);
  expect(mistyped.stderr).toContain('hour is no alarm: give its number');
});
