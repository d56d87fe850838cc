import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tempDir } from './support/index.ts';
import { runCapturedCli } from './support/run-captured-cli.ts';
import { getJson, postJson, type SpawnedPlatform, spawnPlatform } from './support/spawn-platform.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const BIN = join(root, 'bin/tidemill.js');
const IRIS = join(root, 'examples/iris/iris.csv');
const SETOSA = {
  'sepal length (cm)': 5.1,
  'sepal width (cm)': 3.5,
  'petal length (cm)': 1.4,
  'petal width (cm)': 0.2,
};

describe('the platform as processes of its own', () => {
  let dataDir: string;
  let platform: SpawnedPlatform;
  const cli = (...argv: string[]) => runCapturedCli([...argv, '--url', platform.url], { cwd: root });

  beforeAll(async () => {
    dataDir = join(tempDir(), 'data');
    platform = await spawnPlatform({ dataDir });
  });

  afterAll(async () => {
    await platform.stop();
  });

  it('is ready without a model, and a prediction says so', async () => {
    expect(await getJson(`${platform.serveUrl}/ready`)).toMatchObject({
      status: 200,
      body: { status: 'ready', model_loaded: false },
    });
    expect(
      (await postJson(`${platform.serveUrl}/predict`, { features: SETOSA })).status,
    ).toBeGreaterThanOrEqual(400);
    const second = await spawnPlatform({ dataDir }).catch((error: Error) => error.message);
    expect(second).toContain(`process ${platform.child.pid}`);
  });

  it('trains, registers and serves by one command of a process of its own', async () => {
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [BIN, 'train', IRIS, '--target', 'species', '--name', 'iris', '--promote', '--json'],
      { cwd: root, encoding: 'utf8', env: { ...process.env, TIDEMILL_URL: platform.url } },
    );
    expect(stderr).not.toContain('error');
    expect(status).toBe(0);
    const trained = JSON.parse(stdout);
    // The rows are kept as they were learned from: the server counts the same digest.
    expect(trained).toMatchObject({
      name: 'iris',
      version: '1',
      dataset: { name: 'iris.file', version: 1 },
    });
    const kept = await getJson(`${platform.url}/api/v1/datasets/iris.file/versions/1`);
    expect(kept.body).toMatchObject({ digest: trained.digest, rows: trained.rows });
    await expect.poll(async () => (await getJson(`${platform.serveUrl}/ready`)).body.model_loaded).toBe(true);
  });

  it('answers the classic request with class, confidence, version and time', async () => {
    const { status, body } = await postJson(`${platform.serveUrl}/predict`, { features: SETOSA });
    expect(status).toBe(200);
    expect(body).toMatchObject({ prediction: 'setosa', model_version: '1', variant: 'champion' });
    expect(body.confidence).toBeGreaterThan(0.9);
    expect(body.inference_time_ms).toBeGreaterThanOrEqual(0);
    expect(Object.keys(body.probabilities).sort()).toEqual(['setosa', 'versicolor', 'virginica']);
  });

  it('names a missing feature with 400, and refuses a body of another form with 422', async () => {
    const { 'petal width (cm)': _, ...incomplete } = SETOSA;
    const missing = await postJson(`${platform.serveUrl}/predict`, { features: incomplete });
    expect(missing.status).toBe(400);
    expect(missing.body.message).toContain('petal width (cm)');
    const wrong = await postJson(`${platform.serveUrl}/predict`, { rows: [1, 2] });
    expect(wrong.status).toBe(422);
    expect((await postJson(`${platform.serveUrl}/models/nope/predict`, { features: SETOSA })).status).toBe(
      404,
    );
  });

  it('promotes a second version, serves it, and rolls back', async () => {
    const trained = await cli(
      'train',
      IRIS,
      '--target',
      'species',
      '--name',
      'iris',
      '--algorithm',
      'linear',
      '--json',
    );
    expect(trained.json.version).toBe('2');
    // Thirty rows are too few to tell the two apart.
    const refused = await cli('promote', 'iris/2', '--json');
    expect(refused.status).toBe(4);
    expect(refused.stderr).toContain('is not shown to be as good');
    const promoted = await cli('promote', 'iris/2', '--force', '--reason', 'a simpler model', '--json');
    expect(promoted.stderr).toBe('');
    expect(promoted.json).toMatchObject({ from: '1', to: '2', changed: true });
    await expect.poll(servedVersion).toBe('2');
    const back = await cli('rollback', 'iris', '--reason', 'just to see', '--json');
    expect(back.json).toMatchObject({ from: '2', to: '1' });
    await expect.poll(servedVersion).toBe('1');
    const { stdout } = await cli('models', 'iris');
    expect(stdout).toContain('just to see');
    expect(stdout).toContain('a simpler model');
  });

  it('refuses a version that looks worse, with status 4 and the evidence, unless forced with a reason', async () => {
    const weak = ['--set', 'trees=1', '--set', 'learning_rate=0.01'];
    const trained = await cli(
      'train',
      IRIS,
      '--target',
      'species',
      '--name',
      'iris',
      ...weak,
      '--promote',
      '--json',
    );
    expect(trained.status).toBe(4);
    const { message, details } = JSON.parse(trained.stderr.trim().split('\n').at(-1) ?? '');
    // Thirty rows, one of which the champion has very wrong: they prove nothing, which is no pass.
    expect(message).toContain("Version 3 of 'iris' is not shown to be as good");
    expect(details.evidence.comparison).toMatchObject({ verdict: 'inconclusive', rows: 30 });
    expect(details.evidence.comparison.estimate).toBeLessThan(-0.5);
    expect(trained.json).toMatchObject({ version: '3', refused: { message } });
    expect(await servedVersion()).toBe('1');
    const forced = await cli('promote', 'iris/3', '--force', '--reason', 'to see it fail', '--json');
    expect(forced.json).toMatchObject({ decision: { verdict: 'forced' }, served: { live: true } });
    expect(await servedVersion()).toBe('3');
    await cli('rollback', 'iris');
    const audit = await getJson(`${platform.url}/api/v1/audit`);
    expect(JSON.stringify(audit.body)).toContain('to see it fail');
    expect((await getJson(`${platform.url}/api/v1/audit/verify`)).body.ok).toBe(true);
  });

  it('evaluates, inspects, adds datasets and trains on them', async () => {
    const evaluated = await cli('evaluate', 'iris', IRIS, '--json');
    expect(evaluated.json).toMatchObject({ name: 'iris', version: '1', rows: 150 });
    expect(evaluated.json.metrics.accuracy).toBeGreaterThan(0.9);
    expect(evaluated.json.seen).toEqual({ rows: 120, of: 150 });
    const second = await cli('evaluate', 'iris/2', IRIS);
    expect(second.stdout).toContain('setosa');
    expect(second.stderr).toContain('this is the table it was trained on: 120 of 150 rows are not unseen');
    expect((await cli('evaluate', 'iris@nope', IRIS)).stderr).toContain('no alias nope');

    const file = join(tempDir(), 'model.onnx');
    const model = await fetch(`${platform.url}/api/v1/models/iris/versions/1/model`);
    writeFileSync(file, new Uint8Array(await model.arrayBuffer()));
    const inspected = await cli2('inspect', file);
    expect(inspected.stdout).toContain('answers species (multiclass): setosa, versicolor, virginica');
    expect((await cli2('inspect', file, '--json')).json.signature.columns).toHaveLength(4);
    expect((await cli2('inspect', IRIS)).status).toBe(1);

    const table = join(root, 'examples/regression/cold-store.csv');
    const added = await cli('datasets', 'add', 'cold-store', table, '--time', 'date', '--json');
    expect(added.json).toMatchObject({ name: 'cold-store', version: 1, rows: 1200 });
    const { datasets } = (await cli('datasets', '--json')).json;
    expect(datasets.map(({ name }: any) => name)).toEqual(['cold-store', 'iris.file']);
    expect((await cli('datasets')).stdout).toContain('cold-store');
    expect((await cli('datasets', 'show', 'cold-store')).stdout).toContain('outdoor_c');
    const target = ['--target', 'energy_kwh', '--name', 'cold-store', '--split', 'time'];
    const trained = await cli('train', '--data', 'cold-store@1', ...target, '--json', '--set', 'trees=20');
    expect(trained.stderr).toBe('');
    expect(trained.json).toMatchObject({ task: 'regression', version: '1', rows: 1200 });
    expect((await cli('models')).stdout).toContain('cold-store');
    const runs = await cli('runs', '--experiment', 'cold-store', '--json');
    const shown = await cli('runs', runs.json.runs[0].info.run_id.slice(0, 10));
    expect(shown.stdout).toContain('trees');
    expect(shown.stdout).toContain('rmse');
  });

  it('predicts files, lists what there is, and measures itself', async () => {
    const out = join(tempDir(), 'predictions.csv');
    const predicted = await cli(
      'predict',
      'iris',
      IRIS,
      '--out',
      out,
      '--json',
      '--serve-url',
      platform.serveUrl,
    );
    expect(predicted.json).toMatchObject({ rows: 150, versions: ['1'] });
    const lines = readFileSync(out, 'utf8').trim().split('\n');
    expect(lines).toHaveLength(151);
    expect(lines[0]).toContain('species,prediction,confidence,model_version,prediction_id');
    expect((await cli('runs', '--json')).json.runs).toHaveLength(4);
    expect((await cli('status')).stdout).toContain('ready');
    const load = await cli2(
      'load-test',
      platform.serveUrl,
      '--duration',
      '0.3',
      '--concurrency',
      '8',
      '--json',
    );
    expect(load.json.results[0].errors).toBe(0);
  });

  it('is copied while it works, and the copy starts and serves', async () => {
    const backup = join(tempDir(), 'backup');
    const restored = join(tempDir(), 'restored');
    expect((await cli2('backup', backup, '--data', dataDir)).status).toBe(0);
    expect((await cli2('restore', backup, '--data', restored)).status).toBe(0);
    const copy = await spawnPlatform({ dataDir: restored });
    try {
      expect((await postJson(`${copy.serveUrl}/predict`, { features: SETOSA })).body.prediction).toBe(
        'setosa',
      );
    } finally {
      expect(await copy.stop()).toBe(0);
    }
  });

  it('ends with status 0 at SIGTERM, and the model server then serves from its cache without a control plane', async () => {
    expect(await platform.stop()).toBe(0);
    const serve = spawn(
      process.execPath,
      [BIN, 'serve', '--json', '--serve-port', '0', '--url', 'http://127.0.0.1:9', '--data', dataDir],
      { stdio: ['ignore', 'pipe', 'ignore'] },
    );
    const exited = new Promise((resolve) => serve.once('exit', resolve));
    try {
      const line = await new Promise<string>((resolve) =>
        createInterface({ input: serve.stdout }).once('line', resolve),
      );
      const { serve_url } = JSON.parse(line);
      expect((await postJson(`${serve_url}/predict`, { features: SETOSA })).body).toMatchObject({
        prediction: 'setosa',
        model_version: '1',
      });
    } finally {
      serve.kill('SIGTERM');
    }
    expect(await exited).toBe(0);
  });

  const cli2 = (...argv: string[]) => runCapturedCli(argv, { cwd: root });

  async function servedVersion(): Promise<string> {
    return (await postJson(`${platform.serveUrl}/predict`, { features: SETOSA })).body.model_version;
  }
});
