import { execFile } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tempDir } from '../../tests/support/index.ts';
import { runCapturedCli } from '../../tests/support/run-captured-cli.ts';
import { postJson, type SpawnedPlatform, spawnPlatform } from '../../tests/support/spawn-platform.ts';

const BIN = fileURLToPath(new URL('../../bin/tidemill.js', import.meta.url));

/** A process of its own: the test runner resolves the imports of a project file by itself. */
async function spawnCli(
  argv: string[],
  cwd: string,
): Promise<{ status: number; stdout: string; stderr: string; json: any }> {
  const ended = await promisify(execFile)(process.execPath, [BIN, ...argv], { cwd }).then(
    (output) => ({ ...output, code: 0 }),
    (error: { stdout: string; stderr: string; code: number }) => error,
  );
  const { code: status, stdout, stderr } = ended;
  return {
    status,
    stdout,
    stderr,
    get json() {
      return JSON.parse(stdout);
    },
  };
}

describe('a new project', () => {
  let folder: string;
  let platform: SpawnedPlatform;
  const cli = (...argv: string[]) => spawnCli([...argv, '--url', platform.url], folder);

  beforeAll(async () => {
    folder = join(tempDir(), 'churn');
    const { status, json } = await runCapturedCli(['init', folder, '--json']);
    expect(status).toBe(0);
    expect(json.files).toEqual([
      'tidemill.config.ts',
      'data/customers.csv',
      'project.test.ts',
      '.gitignore',
      'README.md',
    ]);
    platform = await spawnPlatform({ dataDir: join(folder, '.tidemill'), cwd: folder });
  });
  afterAll(async () => {
    await platform?.stop();
  });

  async function version(least: number): Promise<string> {
    let serving = '';
    await expect
      .poll(
        async () => {
          const answer = await fetch(`${platform.serveUrl}/model/info`);
          serving = answer.ok ? String(((await answer.json()) as { version: string }).version) : '0';
          return Number(serving);
        },
        { timeout: 120_000 },
      )
      .toBeGreaterThanOrEqual(least);
    return serving;
  }

  it('is never written over', async () => {
    const before = readFileSync(join(folder, 'tidemill.config.ts'), 'utf8');
    const again = await runCapturedCli(['init', folder]);
    expect(again.status).toBe(2);
    expect(again.stderr).toMatch(/has tidemill\.config\.ts, data\/customers\.csv.* already/);
    expect(readFileSync(join(folder, 'tidemill.config.ts'), 'utf8')).toBe(before);
  });

  it('trains its first version at once, and serves it', { timeout: 150_000 }, async () => {
    expect(await version(1)).toBe('1');
    const { status, body } = await postJson(`${platform.serveUrl}/predict`, {
      features: { plan: 'basic', region: 'north', tenure_months: 3, monthly_spend: 14.5, support_calls: 6 },
    });
    expect({ status, version: body.model_version }).toEqual({ status: 200, version: '1' });
    expect(typeof body.prediction).toBe('boolean');
  });

  it('is retrained by hand, with the log of its steps', { timeout: 150_000 }, async () => {
    const done = await cli('retrain', 'churn', '--wait', '--reason', 'I want to see it', '--json');
    expect(done.stderr).toBe('');
    expect(done.status).toBe(0);
    expect(done.json).toMatchObject({ name: 'churn', status: 'succeeded', why: 'by hand: I want to see it' });
    // The same rows gave the same model, which is as good as the one that serves.
    expect(done.json.result).toMatchObject({ version: 2, rows: 3600 });
    expect(['promoted', 'rollout']).toContain(done.json.result.outcome);
    const pipeline = (await (await fetch(`${platform.url}/api/v1/models/churn/pipeline`)).json()) as any;
    expect(pipeline.decisions.map(({ cause, outcome }: any) => `${cause} ${outcome}`)).toEqual([
      'hand started',
      'first started',
    ]);
    expect(pipeline.runs[0]).toMatchObject({ status: 'succeeded', version: '2' });
    expect(pipeline.next_scheduled_at).toBeGreaterThan(Date.now());
    const history = (await cli('retrain', 'churn', '--history')).stdout;
    expect(history).toMatch(/^✓ .* {2}by hand: I want to see it/);
    expect(history).toMatch(new RegExp(`  ${done.json.run_id}: version 2 (promoted|rollout)`));
    expect(history).toMatch(/the model has no version yet/);
    expect(history).toMatch(/next by its schedule: /);
    const missing = await cli('retrain', 'chrun');
    expect(missing.status).toBe(1);
    expect(missing.stderr).toMatch(/chrun/);
  });

  it('explains what decides about it', async () => {
    const shown = await cli('explain', 'churn');
    expect(shown.stdout).toMatch(/schedule: 0 3 \* \* 1 {2}\(retrain\.schedule\)/);
    expect(shown.stdout).toMatch(/margin δ: 0\.01 {2}\(gate\.nonInferiority\)/);
    const { entries } = (await cli('explain', 'churn', '--json')).json;
    expect(entries.find(({ source }: any) => source === 'retrain.cooldown')).toMatchObject({
      value: '6h',
      is_default: false,
    });
  });

  it('is applied to a platform from elsewhere, its file as a dataset, audited once', {
    timeout: 60_000,
  }, async () => {
    const first = await cli('apply', '--json');
    expect(first.json.applied).toEqual([
      { name: 'churn', dataset: 'churn', changed: true, dataset_version: 1 },
    ]);
    expect((await cli('apply', '--json')).json.applied[0].changed).toBe(false);
    const { models } = (await (await fetch(`${platform.url}/api/v1/project`)).json()) as any;
    expect(models).toHaveLength(1);
    expect(models[0]).toMatchObject({ name: 'churn', folder: '', config: { data: { dataset: 'churn' } } });
  });

  it('refuses a project that is wrong, naming what is right, before anything starts', async () => {
    const wrong = tempDir();
    const config = readFileSync(join(folder, 'tidemill.config.ts'), 'utf8');
    writeFileSync(join(wrong, 'tidemill.config.ts'), config.replace('cooldown', 'cooldwon'));
    const checked = await spawnCli(['apply', '--dry-run'], wrong);
    expect(checked.status).toBe(2);
    expect(checked.stderr).toMatch(
      /models\.churn\.retrain\.cooldwon is not known; did you mean 'cooldown'\?/,
    );
    const up = await spawnCli(['up', '--data', join(wrong, 'd')], wrong);
    expect(up.status).toBe(2);
    expect(up.stderr).toMatch(/cooldwon/);
    expect(existsSync(join(wrong, 'd'))).toBe(false);
    writeFileSync(join(wrong, 'tidemill.config.ts'), config.replace('0 3 * * 1', '0 25 * * *'));
    const unready = await spawnCli(['apply', '--dry-run'], wrong);
    expect(unready.status).toBe(2);
    expect(unready.stderr).toMatch(/retrain\.schedule is "0 25 \* \* \*"/);
    expect(unready.stderr).toMatch(/models\.churn\.data\.path is ".*": there is no file/);
    const right = await spawnCli(['apply', '--dry-run'], folder);
    expect(right.stdout).toMatch(/is right in its form: churn/);
  });

  it('passes its own test', { timeout: 180_000 }, async () => {
    const { NODE_OPTIONS: _options, VITEST: _vitest, ...env } = process.env;
    const { stdout } = await promisify(execFile)(process.execPath, ['--test'], {
      cwd: folder,
      env: { ...env, TIDEMILL: `${process.execPath} ${BIN}` },
    });
    expect(stdout).toMatch(/pass 2/);
    expect(stdout).toMatch(/fail 0/);
  });
});

it('says where there is no project, and which models one has', async () => {
  const empty = tempDir();
  const none = await spawnCli(['backtest'], empty);
  expect(none.status).toBe(2);
  expect(none.stderr).toMatch(
    /has no project: write a tidemill\.config\.ts, or let `.*tidemill init` write one/,
  );
  await runCapturedCli(['init', empty]);
  const wrong = await spawnCli(['backtest', 'chrun'], empty);
  expect(wrong.stderr).toMatch(/the project has no model chrun: name one of churn/);
  const policy = await spawnCli(['backtest', '--policies', 'never,daily'], empty);
  expect(policy.stderr).toMatch(/daily is no policy: there are never, weekly, drift, performance, project/);
});
