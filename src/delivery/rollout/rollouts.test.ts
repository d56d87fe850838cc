import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import {
  createDeliveryHarness,
  DAY,
  type DeliveryHarness,
  MINUTE,
  NOW,
  trafficOf,
  writeLabelledRows,
} from '../../../tests/support/delivery-harness.ts';
import { describeDatabases, tempDir } from '../../../tests/support/index.ts';
import { tinyClassifier } from '../../../tests/support/tiny-model.ts';
import type { Database } from '../../platform/index.ts';
import type { RolloutLog, VariantCounts } from '../delivery-deps.ts';
import { createDelivery } from '../index.ts';
import { changeRollout, noteRolloutEvidence } from './rollout-commands.ts';

const good = () => tinyClassifier({ weights: [3, -3] });
const better = () => tinyClassifier({ weights: [3, -3], bias: -0.4 });
const bad = () => tinyClassifier({ weights: [-3, 3] });
const STEPS = { canary: [25, 50, 100], stepFor: '10m', minRequests: 100, watch: '4d' };

let heldOut: string;
beforeAll(async () => {
  heldOut = (await writeLabelledRows({})).path;
});

/** A run of 0.3 ms each. */
const counts = (answered: number, failed = 0, slow = 0): VariantCounts => {
  const latency = Array.from({ length: 17 }, () => 0);
  latency[3] = answered - slow;
  latency[12] = slow;
  return { answered, failed, latency };
};

describeDatabases('rollouts', (openDatabase) => {
  let database: Database;
  let harness: DeliveryHarness;
  let traffic: Record<string, VariantCounts>;
  let policy: { gate?: object; rollout?: object } | undefined;
  let log: Partial<RolloutLog>;

  beforeEach(async () => {
    traffic = {};
    policy = { gate: {}, rollout: STEPS };
    log = {};
    database = await openDatabase();
    harness = await createDeliveryHarness(database, {
      policyOf: () => policy,
      variantCounts: async () => trafficOf(traffic),
      log: {
        exportLabelled: (asked) =>
          log.exportLabelled?.(asked) ?? Promise.resolve({ rows: 0, digest: 'sha256:0' }),
        compareVariants: (asked) => log.compareVariants?.(asked) ?? Promise.resolve({ windows: [] }),
      },
    });
    return () => harness.close();
  });

  /** Versions 1 (serving) and 2 (being rolled out). */
  async function begin(second: Uint8Array = better(), more: object = {}) {
    await harness.register(good(), heldOut);
    await harness.register(second, heldOut);
    expect((await harness.promote('1')).status).toBe(200);
    return harness.promote('2', more);
  }

  async function after(ms: number) {
    harness.clock.advance(ms);
    return harness.advance();
  }

  it('lets the first version serve at once, and rolls the second out step by step until it is the champion', async () => {
    const begun = await begin();
    expect(begun.body).toMatchObject({
      outcome: 'rollout',
      changed: false,
      from: '1',
      to: '2',
      decision: { verdict: 'better' },
    });
    const id = begun.body.rollout;
    expect((await harness.desired()).models[0]).toMatchObject({
      champion: { version: '1' },
      rollout: { id, candidate: { version: '2' }, mode: 'canary', weight: 0.25 },
    });
    expect(await harness.advance()).toEqual({ didSomething: false });
    traffic = { champion: counts(300), canary: counts(99) };
    expect(await after(10 * MINUTE)).toEqual({ didSomething: false });
    traffic = { champion: counts(330), canary: counts(110) };
    expect(await after(10 * MINUTE)).toEqual({ didSomething: true });
    expect((await harness.desired()).models[0].rollout.weight).toBe(0.5);
    // The requests of the step before do not count for this one.
    expect(await after(10 * MINUTE)).toEqual({ didSomething: false });
    traffic = { champion: counts(500), canary: counts(250) };
    expect(await after(10 * MINUTE)).toEqual({ didSomething: true });
    const desired = (await harness.desired()).models[0];
    expect(desired).toMatchObject({ champion: { version: '2' }, previous: { version: '1' } });
    expect(desired.rollout).toBeUndefined();
    expect(await harness.rollout()).toMatchObject({
      id,
      state: 'watching',
      watched_until: NOW + 40 * MINUTE + 4 * DAY,
    });
    const { history } = await harness.model();
    expect(history[0]).toMatchObject({ action: 'promote', from: '1', to: '2', actor: 'tidemill' });
    expect(await after(4 * DAY)).toEqual({ didSomething: true });
    expect(await harness.rollout()).toMatchObject({
      state: 'done',
      note: expect.stringContaining('0 labelled rows'),
    });
    expect(await after(DAY)).toEqual({ didSomething: false });
    expect(
      (await harness.decisions()).map(({ kind, outcome, actor }: any) => [kind, outcome, actor]),
    ).toEqual([
      ['watch', 'done', 'tidemill'],
      ['canary', 'promoted', 'tidemill'],
      ['canary', 'next step', 'tidemill'],
      ['gate', 'rollout', 'ann'],
      ['gate', 'promoted', 'ann'],
    ]);
    expect((await harness.ask('GET', '/api/v1/audit/verify')).body).toEqual({ ok: true, entries: 5 });
  });

  it('wakes the long poll of the model servers at each step', async () => {
    await begin();
    traffic = { champion: counts(300), canary: counts(150) };
    const { revision } = await harness.desired();
    const waiting = harness.ask('GET', '/api/v1/serving/desired-state?wait_ms=30000', undefined, {
      'if-none-match': `"${revision}"`,
    });
    await after(10 * MINUTE);
    expect((await waiting).body.models[0].rollout.weight).toBe(0.5);
  });

  it('shows a candidate copies first, and undoes it when it answers otherwise than the policy allows', async () => {
    policy = {
      gate: {},
      rollout: { ...STEPS, shadow: '1h', maxDisagreement: 0.05, sticky: { header: 'x-user' } },
    };
    await begin();
    expect((await harness.desired()).models[0].rollout).toMatchObject({
      mode: 'shadow',
      weight: 1,
      sticky_header: 'x-user',
    });
    traffic = { champion: counts(500), shadow: counts(500) };
    const pairs = (disagree: number) => async () => ({
      windows: [],
      shadowPairs: { rows: 500, disagree, meanAbsoluteDifference: 0.02 },
    });
    log.compareVariants = pairs(5);
    await after(60 * MINUTE);
    expect((await harness.desired()).models[0].rollout).toMatchObject({ mode: 'canary', weight: 0.25 });
    await harness.hand('abort', { reason: 'again' });
    await harness.promote('2');
    log.compareVariants = pairs(100);
    await after(20 * MINUTE);
    expect(await harness.rollout()).toMatchObject({
      state: 'undone',
      note: expect.stringContaining('100 of 500'),
    });
  });

  it('takes no traffic for inconclusive: pauses, asks, and goes on or passes by a word', async () => {
    await begin();
    traffic = { champion: counts(1000) };
    await after(10 * MINUTE);
    expect((await harness.rollout()).state).toBe('canary');
    await after(60 * MINUTE);
    const paused = await harness.rollout();
    expect(paused).toMatchObject({
      state: 'paused',
      goes_on_in: 'canary',
      note: expect.stringContaining('no requests reached it'),
    });
    expect(paused.decisions[0]).toMatchObject({
      verdict: 'inconclusive',
      outcome: 'paused',
      actor: 'tidemill',
    });
    // It keeps its share of the requests meanwhile.
    expect((await harness.desired()).models[0].rollout.weight).toBe(0.25);
    expect((await harness.hand('resume')).body).toMatchObject({ state: 'canary' });
    expect((await harness.hand('resume')).status).toBe(409);
    await after(70 * MINUTE);
    expect((await harness.rollout()).state).toBe('paused');
    const passed = await harness.hand('resume', { skip: true, reason: 'tried by hand' });
    expect(passed.body).toMatchObject({ state: 'canary', weight: 50 });
    expect((await harness.hand('pause', { reason: 'lunch' })).body).toMatchObject({ state: 'paused' });
    const served = await harness.hand('resume', { skip: true });
    expect(served.body).toMatchObject({ state: 'watching' });
    expect((await harness.model()).history[0]).toMatchObject({ to: '2', actor: 'ann' });
    expect((await harness.hand('abort')).body.message).toContain('tidemill rollback m');
  });

  it('goes on by itself when the requests have come that it was paused for want of', async () => {
    await begin();
    traffic = { champion: counts(300), canary: counts(40) };
    await after(70 * MINUTE);
    const paused = await harness.rollout();
    expect(paused).toMatchObject({
      state: 'paused',
      note: 'inconclusive: only 40 requests reached it, 100 are needed; it goes on by itself when they have come',
    });
    traffic = { champion: counts(600), canary: counts(90) };
    expect(await after(DAY)).toEqual({ didSomething: false });
    traffic = { champion: counts(900), canary: counts(110) };
    expect(await after(DAY)).toEqual({ didSomething: true });
    const resumed = await harness.rollout();
    expect(resumed).toMatchObject({ state: 'canary', weight: 25, step_started_at: harness.clock.now() });
    expect(resumed.note).toBeUndefined();
    expect(resumed.decisions[0]).toMatchObject({
      kind: 'canary',
      outcome: 'resumed',
      actor: 'tidemill',
      summary: expect.stringContaining('110 requests have reached it'),
    });
    expect(await after(5 * MINUTE)).toEqual({ didSomething: false });
    await after(5 * MINUTE);
    expect(await harness.rollout()).toMatchObject({ state: 'canary', weight: 50 });
    expect((await harness.ask('GET', '/api/v1/audit/verify')).body).toMatchObject({ ok: true });
  });

  it.each(['before', 'after'])(
    'stays paused by hand whatever comes, also one that was paused %s',
    async (when) => {
      await begin();
      if (when === 'after') await after(70 * MINUTE);
      expect((await harness.hand('pause', { reason: 'looks odd' })).status).toBe(200);
      expect((await harness.hand('pause')).status).toBe(409);
      traffic = { champion: counts(900), canary: counts(500) };
      await after(DAY);
      expect(await harness.rollout()).toMatchObject({ state: 'paused', note: 'paused by hand' });
      expect((await harness.hand('resume')).body).toMatchObject({ state: 'canary', weight: 25 });
    },
  );

  it('compares failures with those of the champion since the rollout began, not of the whole hour', async () => {
    traffic = { champion: counts(16_000, 0) };
    await begin();
    traffic = { champion: counts(16_599), canary: counts(86) };
    await after(5 * MINUTE);
    const { evidence } = await harness.rollout();
    expect(evidence.errors.words).toBe('0 of 86 requests failed, champion 0 of 599');
    // Its p99 is better known by more runs, which is said.
    expect(evidence.latency.words).toContain('in 16599 runs since the hour in which the rollout began');
  });

  it('stays paused for what its requests showed', async () => {
    await begin();
    traffic = { champion: counts(200), canary: counts(117, 3) };
    await after(70 * MINUTE);
    expect((await harness.rollout()).note).toMatch(/^inconclusive: errors: 3 of 120 requests failed/);
    traffic = { champion: counts(9000, 30), canary: counts(900, 3) };
    await after(DAY);
    expect((await harness.rollout()).state).toBe('paused');
  });

  it.each([
    [
      'errors',
      { champion: counts(400, 1), canary: counts(90, 10) },
      'errors: 10 of 100 requests failed, champion 1 of 401',
    ],
    [
      'run times',
      { champion: counts(400), canary: counts(100, 0, 20) },
      'latency: 20 of 100 runs took longer than 5 ms',
    ],
  ])('undoes a canary by itself for its %s, at once and also while it is paused', async (_, bad, why) => {
    await begin();
    traffic = bad;
    await harness.hand('pause');
    await after(2 * MINUTE);
    const rollout = await harness.rollout();
    expect(rollout).toMatchObject({ state: 'undone', weight: 0, note: expect.stringContaining(why) });
    expect(rollout.decisions[0]).toMatchObject({ actor: 'tidemill', outcome: 'undone', verdict: 'worse' });
    expect((await harness.desired()).models[0].rollout).toBeUndefined();
    expect((await harness.model()).champion.version).toBe('1');
    // What it did before does not count against it the next time, within the same hour.
    await harness.promote('2');
    await after(2 * MINUTE);
    expect((await harness.rollout()).state).toBe('canary');
  });

  it.each(['canary', 'shadow'])(
    'undoes a %s by labels, on which both versions are scored alike',
    async (state) => {
      policy = {
        gate: {},
        rollout: { ...STEPS, stepFor: '10d', ...(state === 'shadow' ? { shadow: '10d' } : {}) },
      };
      let labelled = 200;
      log.compareVariants = async () => ({
        windows: [
          { from: 0, to: 1, champion: { rows: 900, labelled }, candidate: { rows: 300, labelled: 10 } },
        ],
      });
      log.exportLabelled = async ({ outPath, from = 0, to = 0 }) => {
        const rows = await writeLabelledRows({ from, days: (to - from) / DAY });
        await copyFile(rows.path, outPath);
        return rows;
      };
      await begin(better());
      await after(4 * DAY);
      expect((await harness.rollout()).evidence.labels).toMatchObject({ state: 'good', look: 1 });
      await harness.rollback();
      await harness.register(bad(), heldOut);
      await harness.promote('3', { force: true, reason: 'drill' });
      expect((await harness.rollout()).state).toBe(state);
      labelled = 20;
      await after(DAY);
      // Too few labels so far for a look.
      labelled = 500;
      expect(await after(DAY)).toEqual({ didSomething: true });
      const rollout = await harness.rollout();
      expect(rollout).toMatchObject({
        state: 'undone',
        weight: 0,
        note: expect.stringMatching(/labels: log_loss .* of version 3 .*rows labelled since/),
      });
      expect(rollout.decisions[0]).toMatchObject({ kind: state, actor: 'tidemill', outcome: 'undone' });
    },
  );

  it('gives the predecessor its place back when late labels say that it is better', async () => {
    await begin(bad(), { force: true, reason: 'drill', now: true });
    expect(await harness.rollout()).toMatchObject({ state: 'watching', version: '2', champion: '1' });
    log.exportLabelled = async ({ outPath, schema, targetName, from, to, maxRows }) => {
      expect([schema.map(({ name }) => name), targetName, from, to]).toEqual([
        ['a', 'b'],
        'answer',
        NOW,
        NOW + DAY + 1,
      ]);
      expect(maxRows).toBe(200_000);
      const rows = await writeLabelledRows({ from: NOW, days: 1 });
      await copyFile(rows.path, outPath);
      return { ...rows, of: 3_400_000 };
    };
    expect(await after(DAY / 4)).toEqual({ didSomething: false });
    expect(await after((3 * DAY) / 4)).toEqual({ didSomething: true });
    const rollout = await harness.rollout();
    expect(rollout).toMatchObject({
      state: 'undone',
      note: expect.stringContaining('version 1 is better than 2'),
    });
    expect(rollout.decisions[0]).toMatchObject({
      action: 'champion.undo',
      actor: 'tidemill',
      summary: expect.stringContaining('on 400 of 3,400,000 rows labelled since'),
      evidence: { labelled: 400, of: 3_400_000, comparison: { verdict: 'better' }, look: { k: 1 } },
    });
    expect((await harness.model()).champion.version).toBe('1');
    expect((await harness.model()).history[0]).toMatchObject({
      action: 'undo',
      from: '2',
      to: '1',
      actor: 'tidemill',
    });
    expect(await after(4 * DAY)).toEqual({ didSomething: false });
  });

  it('tells a second promotion of the rollout that is under way, and ends it by a rollback', async () => {
    const begun = await begin();
    await harness.register(good(), heldOut);
    const second = await harness.promote('3');
    expect(second.status).toBe(409);
    expect(second.body.message).toContain(`rollout ${begun.body.rollout} of version 2`);
    expect((await harness.rollback({ from: '1' })).status).toBe(409);
    expect((await harness.rollback({ reason: 'alarm' })).body).toEqual({
      name: 'm',
      from: '2',
      to: '1',
      changed: true,
      aborted: begun.body.rollout,
    });
    const state = (await harness.desired()).models[0];
    expect(state.champion.version).toBe('1');
    expect(state.rollout).toBeUndefined();
    expect((await harness.promote('3')).body.outcome).toBe('rollout');
  });

  it('lets one of two promotions at once win, and tells the other', async () => {
    await begin();
    await harness.rollback();
    await harness.register(good(), heldOut);
    const both = await Promise.all([harness.promote('2'), harness.promote('3')]);
    expect(both.map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 409]);
    expect(both.find(({ status }) => status === 409)?.body.message).toContain('has to wait');
  });

  it('gives a promotion that is repeated by its key the same answer, a refusal too', async () => {
    const first = await begin(better(), { key: 'run-1/deliver' });
    expect((await harness.promote('2', { key: 'run-1/deliver' })).body).toEqual(first.body);
    await harness.hand('abort');
    expect((await harness.promote('2', { key: 'run-1/deliver' })).body).toEqual(first.body);
    await harness.register(bad(), heldOut);
    const refused = await harness.promote('3', { key: 'run-2/deliver' });
    expect(refused.status).toBe(409);
    expect((await harness.promote('3', { key: 'run-2/deliver' })).body.details).toEqual(refused.body.details);
    expect((await harness.decisions()).filter(({ version }: any) => version === '3')).toHaveLength(1);
  });

  it('ends a rollout when what serves is changed from elsewhere', async () => {
    policy = { rollout: STEPS };
    await begin();
    await harness.register(good(), heldOut);
    const alias = { name: 'm', alias: 'champion', version: '3' };
    expect((await harness.mlflow('/registered-models/alias', alias)).status).toBe(200);
    expect((await harness.desired()).models[0].rollout).toBeUndefined();
    expect(await harness.advance()).toEqual({ didSomething: true });
    expect(await harness.rollout()).toMatchObject({
      state: 'aborted',
      note: expect.stringContaining('version 3 serves (alias by ann)'),
    });
  });

  it('refuses an alias and a stage that would go past the gate of a project', async () => {
    await begin();
    const alias = { name: 'm', alias: 'champion', version: '2' };
    const refused = await harness.mlflow('/registered-models/alias', alias);
    expect(refused.status).toBe(409);
    expect(refused.body.message).toContain('tidemill promote m/2');
    expect(
      (
        await harness.ask('DELETE', '/api/2.0/mlflow/registered-models/alias', {
          name: 'm',
          alias: 'champion',
        })
      ).status,
    ).toBe(409);
    expect((await harness.mlflow('/registered-models/alias', { ...alias, alias: 'other' })).status).toBe(200);
    // Where an alias decides, a stage moves nothing.
    const stage = { name: 'm', version: '2', stage: 'Production' };
    expect((await harness.mlflow('/model-versions/transition-stage', stage)).status).toBe(200);
    await harness.ask('POST', '/api/2.0/mlflow/registered-models/create', { name: 'n' });
    const { model_versions } = await harness.model();
    await harness.mlflow('/model-versions/create', { name: 'n', source: model_versions[0].source });
    expect(
      (await harness.mlflow('/model-versions/transition-stage', { ...stage, name: 'n', version: '1' }))
        .status,
    ).toBe(409);
  });

  it("aborts on somebody's word also when more is seen of the step at that moment", async () => {
    await begin();
    let hasNoted = false;
    const busy = {
      ...database,
      execute: async (...[command, input]: Parameters<Database['execute']>) => {
        if (command === changeRollout && !hasNoted) {
          hasNoted = true;
          const { id, epoch } = input as { id: string; epoch: number };
          await database.execute(noteRolloutEvidence, { id, epoch, looks: {}, evidence: {}, lookedAt: NOW });
        }
        return database.execute(command, input);
      },
    } as Database;
    const delivery = createDelivery({
      database: busy,
      clock: harness.clock,
      files: {} as never,
      moved: { notify() {}, wait: async () => {} },
    });
    const aborted = await delivery.rollouts.abort('m', 'current', { actor: 'ann', reason: 'looks odd' });
    expect(hasNoted).toBe(true);
    expect(aborted).toMatchObject({ state: 'aborted', weight: 0 });
    await expect(delivery.rollouts.abort('m', 'current', { actor: 'ann' })).rejects.toThrow(/under way/);
  });

  it('waits for no judgement of labels when it is closed', async () => {
    await begin();
    harness.clock.advance(5 * MINUTE);
    const path = join(tempDir(), 'model.onnx');
    await writeFile(path, good());
    const begun = Promise.withResolvers<void>();
    const side = { rows: 200, labelled: 200, meanLoss: 0.5 };
    const delivery = createDelivery({
      database,
      clock: harness.clock,
      files: { modelPath: async () => path } as never,
      moved: { notify() {}, wait: async () => {} },
      log: {
        exportLabelled: async () => ({ rows: 400, digest: 'sha256:1' }),
        compareVariants: async () => ({ windows: [{ champion: side, candidate: side }] }) as never,
      } as RolloutLog,
      judge: (_input, { signal } = {}) =>
        new Promise((_resolve, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason));
          begun.resolve();
        }),
    });
    const advanced = delivery.advance();
    await begun.promise;
    delivery.close();
    await expect(advanced).resolves.toEqual({ didSomething: false });
    expect((await harness.rollout()).state).toBe('canary');
  });

  it('makes each transition once, whoever advances and wherever it is killed', async () => {
    await begin();
    traffic = { champion: counts(300), canary: counts(150) };
    harness.clock.advance(10 * MINUTE);
    // Dies after the commit and before anybody heard of it; the next one takes over.
    const dying = {
      ...database,
      execute: async (...input: Parameters<Database['execute']>) => {
        await database.execute(...input);
        throw new Error('killed');
      },
    } as Database;
    const other = (on: Database) =>
      createDelivery({
        database: on,
        clock: harness.clock,
        files: {} as never,
        moved: { notify() {}, wait: async () => {} },
        variantCounts: async () => trafficOf(traffic),
      });
    await other(dying).advance();
    await Promise.all([harness.advance(), other(database).advance(), other(database).advance()]);
    expect((await harness.rollout()).weight).toBe(50);
    traffic = { champion: counts(500), canary: counts(350) };
    harness.clock.advance(10 * MINUTE);
    await Promise.all([harness.advance(), other(database).advance(), other(dying).advance()]);
    expect((await harness.model()).history.map(({ to }: any) => to)).toEqual(['2', '1']);
    expect((await harness.decisions()).map(({ outcome }: any) => outcome)).toEqual([
      'promoted',
      'next step',
      'rollout',
      'promoted',
    ]);
    expect((await harness.ask('GET', '/api/v1/audit/verify')).body).toEqual({ ok: true, entries: 4 });
  });
});
