import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, expect, it, onTestFinished, vi } from 'vitest';
import { describeDatabases, silentLogger, tamperWith, tempDir } from '../../tests/support/index.ts';
import { createLocalArtifactStore } from '../artifacts/index.ts';
import { addDatasetVersion, createDatasetStore } from '../datasets/index.ts';
import { createAuditStore, type Database } from '../platform/index.ts';
import {
  createChampionStore,
  createModelFiles,
  createRegisteredModel,
  createVersionRegistrar,
} from '../registry/index.ts';
import {
  checkProject,
  createPipelines,
  loadProject,
  type ModelInput,
  type ModelProject,
  type Pipelines,
} from './index.ts';
import type { AlarmPort, JobSummary, PipelineDeps } from './pipeline-deps.ts';
import type { LabelledWindow } from './triggers/estimate-gain.ts';

const DAY = 86_400_000;
/** A Thursday. */
const NOW = Date.UTC(2001, 2, 1, 12);
const door = new URL('../index.ts', import.meta.url);

describeDatabases('pipelines', (openDatabase) => {
  let database: Database;
  let now: number;
  let realNow: number;
  const clock = { now: () => now };
  let pipelines: Pipelines;
  let runs: (JobSummary & { model: string; input: any })[];
  let alarms: AlarmPort[];
  let windows: Map<string, LabelledWindow[]>;
  let rollouts: { state: string }[];
  let labelled: number;
  let failStart: boolean;
  let folder: string;
  let deps: PipelineDeps;

  beforeEach(async () => {
    database = await openDatabase();
    now = NOW;
    realNow = 0;
    runs = [];
    alarms = [];
    windows = new Map();
    rollouts = [];
    labelled = 0;
    failStart = false;
    folder = tempDir();
    const artifacts = createLocalArtifactStore({ root: tempDir() });
    deps = {
      database,
      artifacts,
      clock,
      logger: silentLogger,
      files: createModelFiles({ artifacts }),
      jobs: () => ({
        async start({ key, subject, input }) {
          if (failStart) throw new Error('the process dies here');
          const before = runs.find((run) => run.key === key);
          if (before) return { runId: before.runId, isNew: false };
          const runId = `run-${runs.length + 1}`;
          runs.unshift({ runId, key, status: 'running', model: subject, input, createdAt: clock.now() });
          return { runId, isNew: true };
        },
        list: async ({ subject }) => runs.filter(({ model }) => model === subject),
      }),
      delivery: {
        promote: () => Promise.reject(new Error('not asked here')),
        rollouts: { list: async () => rollouts },
        gainOf: async () => undefined,
      },
      openAlarms: async () => alarms,
      windows: async (_model, { version }) => windows.get(version) ?? [],
      log: {
        exportLabelled: () => Promise.reject(new Error('not asked here')),
        counts: async () => ({ labelled }),
      },
      workFolder: tempDir(),
      codeVersion: 'test',
      realNow: () => realNow,
    };
    pipelines = createPipelines({
      ...deps,
      runner: { run: () => Promise.reject(new Error('not asked here')) },
    });
  });

  async function apply(retrain?: object, more: object = {}) {
    const rows = Array.from(
      { length: 60 },
      (_, i) => `2001-01-${String(1 + (i % 28)).padStart(2, '0')},${i % 7},${i % 2}`,
    );
    writeFileSync(join(folder, 'rows.csv'), `day,a,y\n${rows.join('\n')}\n`);
    return applyFile(retrain, more);
  }
  async function applyFile(retrain?: object, more: object = {}) {
    const model = {
      data: { path: 'rows.csv', target: 'y', time: 'day' },
      ...(retrain && { retrain }),
      ...more,
    };
    writeFileSync(join(folder, 'tidemill.config.json'), JSON.stringify({ models: { m: model } }));
    const loaded = await loadProject(folder, { door });
    return pipelines.applyProject(loaded!, { actor: 'ann' });
  }
  /** The same model on rows that are a dataset already: nothing is read, which takes a process and a second. */
  async function put(retrain: object = {}) {
    await addRows('sha256:first');
    const written = { data: { dataset: 'm', target: 'y', time: 'day' }, retrain } as ModelInput;
    const config = checkProject({ models: { m: written } }, 'the test').models['m'];
    return pipelines.putModel('m', written, config as ModelProject, 'ann');
  }
  async function addRows(digest: string): Promise<void> {
    const column = (name: string, type: 'datetime' | 'long') => ({ name, type, nullable: false });
    const added = await database.execute(addDatasetVersion, {
      name: 'm',
      digest,
      rows: 60,
      sizeBytes: 1000,
      schema: [{ ...column('day', 'datetime'), role: 'time' }, column('a', 'long'), column('y', 'long')],
      statistics: { rows: 60, columns: [] },
      source: { kind: 'file', name: 'rows.csv', sha256: digest, sizeBytes: 1000 },
      notes: [],
      createdAt: NOW,
      createdBy: 'ann',
    });
    expect(added.outcome).not.toBe('conflict');
  }

  async function register(): Promise<void> {
    await database.execute(createRegisteredModel, { name: 'm', description: '', tags: [], now: NOW });
    const source = 'mlflow-artifacts:/1/r/artifacts/model';
    await createVersionRegistrar(deps).register({
      name: 'm',
      source,
      runId: '',
      userId: 'ann',
      description: '',
      tags: [],
    });
  }
  const end = (status = 'succeeded') => {
    for (const run of runs) run.status = status;
  };
  const causes = async () =>
    (await pipelines.decisionsOf('m', 50)).map(({ kind, outcome }) => `${kind} ${outcome}`);
  const drift = (id: string, version = '1'): AlarmPort => ({
    id,
    kind: 'drift',
    version,
    column: 'a',
    openedAt: clock.now(),
  });

  it('keeps the source file as a dataset, and audits what a project says when it changes', async () => {
    expect(await apply()).toEqual({ models: [{ name: 'm', changed: true }] });
    expect((await pipelines.findModel('m'))?.source?.sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(await apply()).toEqual({ models: [{ name: 'm', changed: false }] });
    const version = await createDatasetStore(database.reader).getVersion('m', 'latest');
    expect(version).toMatchObject({ version: 1, rows: 60, createdBy: 'ann' });
    expect(version.schema.find(({ role }) => role === 'time')?.name).toBe('day');
    expect(await apply({ schedule: '0 4 * * 1' })).toEqual({ models: [{ name: 'm', changed: true }] });
    const audit = await createAuditStore(database.reader).list({ subject: 'models/m' });
    expect(audit.map(({ action, actor }) => `${action} by ${actor}`)).toEqual([
      'project.apply-model by ann',
      'project.apply-model by ann',
    ]);
    writeFileSync(join(folder, 'rows.csv'), 'day,a,y\n2001-02-01,1,0\n2001-02-02,2,1\n');
    await applyFile();
    expect(await createDatasetStore(database.reader).getVersion('m', 'latest')).toMatchObject({
      version: 2,
      rows: 2,
    });
  });

  it('refuses a missing file, a wrong schedule and a wrong feature by file and path', async () => {
    await expect(applyFile()).rejects.toThrow(
      /tidemill\.config\.json: models\.m\.data\.path is "rows\.csv": there is no file/,
    );
    await expect(apply({ schedule: '0 25 * * *' })).rejects.toThrow(
      /models\.m\.retrain\.schedule is "0 25 \* \* \*": /,
    );
    await expect(apply(undefined, { features: { h: 'hour(dya)' } })).rejects.toThrow(
      /models\.m: Feature "h".*dya/,
    );
    await expect(apply(undefined, { data: { path: 'rows.csv', target: 'y', id: 'b' } })).rejects.toThrow(
      /models\.m: .*"b"/,
    );
    await expect(
      apply(undefined, { data: { path: 'rows.csv', target: 'y', ignore: ['dya'] } }),
    ).rejects.toThrow(/tidemill\.config\.json: models\.m: .*"dya" \(data\.ignore\): did you mean "day"\?/);
    await expect(apply(undefined, { data: { path: 'rows.csv', target: 'yy' } })).rejects.toThrow(
      /models\.m: .*"yy" \(data\.target\): did you mean "y"\?/,
    );
    expect(await pipelines.listModels()).toEqual([]);
  });

  it('lets model servers hear of columns to count apart when they change, and only then', async () => {
    const revision = () => createChampionStore(database.reader).revision();
    await apply();
    const before = await revision();
    expect((await pipelines.policyOf('m'))?.segments).toEqual([]);
    await apply(undefined, { monitor: { segments: ['a'] } });
    expect((await pipelines.policyOf('m'))?.segments).toEqual(['a']);
    expect(await revision()).toBe(before + 1);
    await apply({ cooldown: '3d' }, { monitor: { segments: ['a'] } });
    expect(await revision()).toBe(before + 1);
  });

  it('takes a model out that its file names no more', async () => {
    await apply();
    writeFileSync(
      join(folder, 'tidemill.config.json'),
      JSON.stringify({ models: { n: { data: { path: 'rows.csv', target: 'y' } } } }),
    );
    const loaded = await loadProject(folder, { door });
    expect(await pipelines.applyProject(loaded!)).toEqual({
      models: [
        { name: 'n', changed: true },
        { name: 'm', changed: true },
      ],
    });
    expect((await pipelines.listModels()).map(({ name }) => name)).toEqual(['n']);
    expect(await pipelines.policyOf('m')).toBeUndefined();
  });

  it('trains a first version at once, and only once for the same rows', async () => {
    await put();
    expect(await pipelines.advance()).toEqual({ didSomething: true });
    expect(runs.map(({ input }) => input.cause.kind)).toEqual(['first']);
    expect(runs[0]?.input).toMatchObject({ model: 'm', asOf: NOW, reason: 'the model has no version yet' });
    end();
    expect(await pipelines.advance()).toEqual({ didSomething: false });
    expect(runs).toHaveLength(1);
  });

  it('tries a first training that failed again after 1, 5 and 30 real minutes, and says so', async () => {
    await put({ cooldown: '3d' });
    await pipelines.advance();
    for (const [i, minutes] of [1, 5, 30].entries()) {
      end('failed');
      expect(await pipelines.advance()).toEqual({ didSomething: true });
      const [waits] = await pipelines.decisionsOf('m', 1);
      expect(waits).toMatchObject({ kind: 'first', outcome: 'skipped' });
      expect(waits?.reason).toBe(`run-${i + 1} failed; it is tried again ${minutes} min later`);
      realNow += minutes * 60_000 - 1;
      expect(await pipelines.advance()).toEqual({ didSomething: false });
      realNow += 1;
      expect(await pipelines.advance()).toEqual({ didSomething: true });
      expect(runs).toHaveLength(i + 2);
      expect(runs[0]?.input.reason).toBe(`the model has no version yet, attempt ${i + 2}`);
      expect(await pipelines.advance()).toEqual({ didSomething: false });
    }
    end('failed');
    await pipelines.advance();
    realNow += 365 * DAY;
    expect(await pipelines.advance()).toEqual({ didSomething: false });
    expect((await pipelines.decisionsOf('m', 1))[0]?.reason).toMatch(/^run-4 failed, the last of 4 attempts/);
    await addRows('sha256:second');
    await pipelines.advance();
    expect(runs[0]?.input.reason).toBe('the model has no version yet');
    expect(runs).toHaveLength(5);
  });

  it('tells what is wrong with a source once for each model, not at every look', async () => {
    await apply({ on: ['newData'] });
    const models = Object.fromEntries(
      ['m', 'n'].map((name) => {
        writeFileSync(join(folder, `${name}.csv`), 'day,a,y\n2001-02-01,1,0\n2001-02-02,2,1\n');
        const data = { path: `${name}.csv`, target: 'y', time: 'day' };
        return [name, { data, retrain: { on: ['newData'] } }];
      }),
    );
    writeFileSync(join(folder, 'tidemill.config.json'), JSON.stringify({ models }));
    await pipelines.applyProject((await loadProject(folder, { door }))!);
    const error = vi.spyOn(deps.logger, 'error');
    onTestFinished(() => error.mockRestore());
    for (const name of ['m', 'n']) writeFileSync(join(folder, `${name}.csv`), `day,a\n${name},"`);
    for (let look = 0; look < 3; look++) {
      realNow += 60_000;
      await pipelines.advance();
    }
    expect(error.mock.calls.map(([fields]) => (fields as { model?: string }).model)).toEqual(['m', 'n']);
  });

  it('starts one retraining when two replicas decide at the same moment', async () => {
    await register();
    await put({ on: ['drift'], cooldown: '0s' });
    alarms = [drift('1')];
    for (let round = 0; round < 5; round++) {
      // Each has seen that nothing is under way before either has decided.
      let looking = 0;
      const bothLook = Promise.withResolvers<void>();
      const replica = () =>
        createPipelines({
          ...deps,
          jobs: () => {
            const jobs = deps.jobs();
            return {
              ...jobs,
              async list(filter) {
                const found = await jobs.list(filter);
                looking += 1;
                if (looking === 2) bothLook.resolve();
                await bothLook.promise;
                return found;
              },
            };
          },
          runner: { run: () => Promise.reject(new Error('not asked here')) },
        });
      const asked = await Promise.allSettled([
        replica().ask({ model: 'm', kind: 'hand', reason: undefined, actor: 'ann', key: `${round}` }),
        round % 2 === 0
          ? replica().advance()
          : replica().ask({ model: 'm', kind: 'hand', reason: undefined, actor: 'bob', key: `b${round}` }),
      ]);
      expect(runs).toHaveLength(round + 1);
      const started = (await pipelines.decisionsOf('m', 50)).filter(({ outcome }) => outcome === 'started');
      expect(started).toHaveLength(round + 1);
      for (const one of asked) {
        if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'RESOURCE_CONFLICT' });
      }
      end();
    }
  });

  it('starts by its schedule in its time zone, once for each time, and leaves out what passed', async () => {
    await register();
    await put({ schedule: '0 4 * * 1', timeZone: 'America/Phoenix', cooldown: '1h' });
    expect(await pipelines.advance()).toEqual({ didSomething: false });
    const monday = Date.UTC(2001, 2, 5, 11);
    now = monday - 1;
    expect(await pipelines.advance()).toEqual({ didSomething: false });
    now = monday + 3 * 7 * DAY + 5;
    expect(await pipelines.advance()).toEqual({ didSomething: true });
    expect(runs[0]?.input.cause).toMatchObject({ kind: 'schedule', detail: { scheduled_at: monday } });
    end();
    expect(await pipelines.advance()).toEqual({ didSomething: false });
    expect(runs).toHaveLength(1);
  });

  it('counts a schedule anew when its clock goes back to the first event', async () => {
    await register();
    now = Date.UTC(2026, 0, 1);
    await put({ schedule: '0 4 * * 1', cooldown: '1h' });
    now = NOW;
    await pipelines.advance();
    now = NOW + 7 * DAY;
    expect(await pipelines.advance()).toEqual({ didSomething: true });
    expect(runs).toHaveLength(1);
  });

  it('starts on an alarm about the version that serves, not on others', async () => {
    await register();
    await put({ on: ['drift'], cooldown: '1d' });
    alarms = [{ ...drift('7'), kind: 'performance' }];
    expect(await pipelines.advance()).toEqual({ didSomething: false });
    alarms.push(drift('8'));
    expect(await pipelines.advance()).toEqual({ didSomething: true });
    expect(runs[0]?.input.cause).toEqual({
      kind: 'drift',
      detail: {
        alarms: ['8'],
        columns: ['a'],
        opened_at: NOW,
        expected_gain: { unknown: 'no version serves' },
      },
    });
  });

  it('waits for the cooldown, records that once, and starts then when the alarm is still open', async () => {
    await register();
    await put({ on: ['drift'], cooldown: '3d' });
    alarms = [drift('1')];
    await pipelines.advance();
    end();
    now = NOW + DAY;
    expect(await pipelines.advance()).toEqual({ didSomething: true });
    expect(await pipelines.advance()).toEqual({ didSomething: false });
    expect(await causes()).toEqual(['drift skipped', 'drift started']);
    expect((await pipelines.decisionsOf('m', 1))[0]?.reason).toMatch(/cooldown until 2001-03-04T12:00Z/);
    now = NOW + 3 * DAY;
    await pipelines.advance();
    expect(await causes()).toEqual(['drift started', 'drift started']);
    end();
    alarms = [];
    now = NOW + 9 * DAY;
    expect(await pipelines.advance()).toEqual({ didSomething: false });
    expect(runs).toHaveLength(2);
  });

  it('holds an alarm back that little can be won by, records why, and starts when more can be won', async () => {
    await register();
    await tamperWith(database, "update model_versions set stage = 'Production'");
    await put({ on: ['drift'], minimumGain: 0.02, schedule: '0 4 * * 1', cooldown: '1h' });
    const window = (index: number, skill: number): LabelledWindow => ({
      from: NOW + index * DAY,
      to: NOW + (index + 1) * DAY,
      performance: {
        metric: 'roc_auc',
        skill,
        referenceMean: 0.8,
        referenceSd: 0.02,
        referenceWindows: 10,
      },
    });
    alarms = [{ ...drift('1'), window: { from: NOW, to: NOW + DAY } }];
    windows.set('1', [window(-1, 0.5), window(0, 0.79)]);
    now = NOW + DAY;
    expect(await pipelines.advance()).toEqual({ didSomething: true });
    expect(await pipelines.advance()).toEqual({ didSomething: false });
    expect(runs).toEqual([]);
    const [held] = await pipelines.decisionsOf('m', 5);
    expect(held).toMatchObject({ kind: 'drift', outcome: 'skipped', actor: 'tidemill' });
    expect(held?.reason).toMatch(
      /^not worth it: expected gain 0\.01 roc_auc .* in 1 labelled window, baseline 0\.8, and retrain\.minimumGain is 0\.02$/,
    );
    const held2 = (await createAuditStore(database.reader).list({ subject: 'models/m' })).filter(
      ({ action }) => action === 'retraining.held-back',
    );
    expect(held2).toMatchObject([
      { reason: held?.reason, evidence: { cause: 'drift', expected_gain: { windows: 1, reached: 0.79 } } },
    ]);
    // A person is not held back.
    await pipelines.ask({ model: 'm', kind: 'hand', reason: undefined, actor: 'ann', key: 'a' });
    end();
    now = NOW + 2 * DAY;
    windows.set('1', [window(0, 0.79), window(1, 0.7)]);
    await pipelines.advance();
    expect(runs).toHaveLength(2);
    expect(runs[0]?.input.cause).toMatchObject({
      kind: 'drift',
      detail: { expected_gain: { metric: 'roc_auc', windows: 2 } },
    });
  });

  it('lets an alarm through whose labels have not come, and says so', async () => {
    await register();
    await tamperWith(database, "update model_versions set stage = 'Production'");
    await put({ on: ['drift'], minimumGain: 0.5 });
    alarms = [drift('1')];
    await pipelines.advance();
    expect(runs[0]?.input.cause.detail.expected_gain).toEqual({
      unknown: 'no window of the version that serves has its labels yet',
    });
  });

  it('starts nothing while a retraining or a rollout of the model is under way', async () => {
    await register();
    await put({ on: ['drift'], cooldown: '0s' });
    rollouts = [{ state: 'canary' }];
    alarms = [drift('1')];
    await pipelines.advance();
    expect(await causes()).toEqual(['drift skipped']);
    expect((await pipelines.decisionsOf('m', 1))[0]?.reason).toBe('a rollout of it is under way (canary)');
    await expect(
      pipelines.ask({ model: 'm', kind: 'hand', reason: undefined, actor: 'ann', key: 'a' }),
    ).rejects.toThrow(/m is not retrained now: a rollout/);
    rollouts = [{ state: 'watching' }, { state: 'done' }];
    await pipelines.advance();
    expect(await causes()).toEqual(['hand skipped', 'drift started'].reverse());
    await expect(
      pipelines.ask({ model: 'm', kind: 'webhook', reason: 'x', actor: 'ci', key: 'b' }),
    ).rejects.toThrow(/retraining run-1 is under way/);
  });

  it('retrains by hand in the cooldown, and by a webhook after it', async () => {
    await register();
    await put({ on: [], cooldown: '6h' });
    const ask = (kind: 'hand' | 'webhook', key: string) =>
      pipelines.ask({ model: 'm', kind, reason: 'new rows', actor: 'ann', key });
    expect((await ask('hand', 'a')).runId).toBe('run-1');
    expect((await ask('hand', 'a')).runId).toBe('run-1');
    end();
    expect((await ask('hand', 'b')).runId).toBe('run-2');
    end();
    await expect(ask('webhook', 'c')).rejects.toThrow(/cooldown until 2001-03-01T18:00Z/);
    now = NOW + 6 * 3_600_000;
    expect((await ask('webhook', 'c')).runId).toBe('run-3');
    expect(runs[0]?.input.reason).toBe('a webhook: new rows');
    await expect(
      pipelines.ask({ model: 'n', kind: 'hand', reason: undefined, actor: 'ann', key: 'z' }),
    ).rejects.toThrow(/n has no pipeline: no project names it/);
  });

  it('takes newly labelled rows and new rows of the source for new data', async () => {
    await register();
    await apply({ on: ['newData'], newRows: 100, cooldown: '1h' });
    expect(
      (await pipelines.ask({ model: 'm', kind: 'hand', reason: undefined, actor: 'ann', key: 'a' }))
        .datasetVersion,
    ).toBe(1);
    end();
    now = NOW + DAY;
    labelled = 99;
    expect(await pipelines.advance()).toEqual({ didSomething: false });
    labelled = 100;
    await pipelines.advance();
    expect(runs[0]?.input.cause).toMatchObject({ kind: 'newData', detail: { labelled_rows: 100 } });
    end();
    now = NOW + 2 * DAY;
    writeFileSync(join(folder, 'rows.csv'), 'day,a,y\n2001-02-01,1,0\n2001-02-02,2,1\n');
    await applyFile({ on: ['newData'], newRows: 100, cooldown: '1h' });
    await pipelines.advance();
    expect(runs[0]?.input.cause).toMatchObject({ kind: 'newData', detail: { dataset_version: 2 } });
  });

  it('starts the run that a decision names when the process died between the two', async () => {
    await put();
    failStart = true;
    await expect(pipelines.advance()).rejects.toThrow('the process dies here');
    expect(runs).toEqual([]);
    failStart = false;
    expect(await pipelines.advance()).toEqual({ didSomething: true });
    expect(await pipelines.advance()).toEqual({ didSomething: false });
    expect(runs).toHaveLength(1);
    expect((await pipelines.decisionsOf('m', 5)).map(({ runId }) => runId)).toEqual(['run-1']);
  });
});
