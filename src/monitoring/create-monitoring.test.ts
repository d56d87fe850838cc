import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { describeDatabases, fixedClock, silentLogger, tamperWith } from '../../tests/support/index.ts';
import {
  DAY_MS,
  entryOf,
  HOUR_MS,
  registerWatched,
  serveWatched,
  writeReference,
} from '../../tests/support/watched-model.ts';
import { createAuditStore, createMetrics, type Database, type Metrics } from '../platform/index.ts';
import type { ProfileSpec } from '../profiles/index.ts';
import type { ProfileEntry } from '../serving/contract.ts';
import type { Alarm } from './alarms/alarm.ts';
import { createMonitoring, type Monitoring, type MonitoringDeps } from './create-monitoring.ts';
import { type MonitorPolicy, monitorPolicySchema } from './monitor-policy.ts';
import type { MeasuredWindow } from './windows/measure-performance.ts';
import { readNewestWatermark } from './windows/profile-entry-store.ts';

const REPORTER = { replica: 'replica', incarnation: 'a' };
const FIRST_DAY = 20_000;
const repeat = (length: number, text: string) => Array.from({ length }, () => text);

let spec: ProfileSpec;
let referencePath: string;

beforeAll(() => {
  ({ spec, path: referencePath } = writeReference());
});

describeDatabases('monitoring', (openDatabase) => {
  let database: Database;
  let clock: ReturnType<typeof fixedClock>;
  let metrics: Metrics;
  let monitoring: Monitoring;
  let policy: MonitorPolicy;
  let watermarks: number[];
  let measure: (window: { from: number; to: number }) => Omit<MeasuredWindow, 'from' | 'to'>;

  function start(change: Partial<MonitoringDeps> = {}): Monitoring {
    metrics = createMetrics();
    return createMonitoring({
      database,
      clock,
      logger: silentLogger,
      metrics,
      files: { referencePath: async () => referencePath },
      log: { measureWindows: async ({ windows }) => windows.map((each) => ({ ...each, ...measure(each) })) },
      policyOf: async () => policy,
      settleMs: 0,
      onWatermark: (ms) => watermarks.push(ms),
      ...change,
    });
  }

  /** Every alarm that was raised, oldest first. */
  const raised = async (): Promise<Alarm[]> => (await monitoring.alarms()).reverse();

  beforeEach(async () => {
    database = await openDatabase();
    clock = fixedClock(FIRST_DAY * DAY_MS);
    policy = monitorPolicySchema.parse({});
    watermarks = [];
    measure = () => ({ rows: 600, labelled: 0, value: undefined, loss: undefined, baseline: undefined });
    await registerWatched(database, 'flights', 2);
    monitoring = start();
    return () => monitoring.stop();
  });

  const report = (...entries: ProfileEntry[]) =>
    monitoring.takeReport(REPORTER, {
      watermark: Math.max(...entries.map(({ hour }) => hour)),
      dropped: 0,
      entries,
    });

  const day = (index: number, change: { shift?: number; missing?: number; rows?: number } = {}) =>
    entryOf(spec, { day: FIRST_DAY + index, seed: 500 + index, rows: 600, ...change });

  async function liveThrough(
    from: number,
    to: number,
    change: { shift?: number; missing?: number; rows?: number } = {},
  ): Promise<void> {
    for (let index = from; index < to; index++) {
      await report(day(index, change));
      clock.advance((FIRST_DAY + index + 1) * DAY_MS + HOUR_MS - clock.now());
      await monitoring.advance();
    }
  }

  describe('profile reports', () => {
    it('are kept once, however often and in whatever order they come', async () => {
      const full = day(0);
      const early = { ...full, answered: 100 };
      await report(early);
      await report(full);
      await report(full);
      await report(early);
      const traffic = await monitoring.traffic('flights', 0, (FIRST_DAY + 1) * DAY_MS);
      expect(traffic).toMatchObject([{ version: '1', variant: 'champion', answered: 600, failed: 0 }]);
      // Another incarnation's and another part's counts add up.
      await monitoring.takeReport(
        { ...REPORTER, incarnation: 'b' },
        { watermark: null, dropped: 3, entries: [full] },
      );
      await report({ ...full, part: 1 });
      expect(await monitoring.traffic('flights', 0, (FIRST_DAY + 1) * DAY_MS)).toMatchObject([
        { answered: 1800 },
      ]);
      expect(await monitoring.droppedByServer()).toEqual([{ replica: 'replica', dropped: 3 }]);
      expect(metrics.render()).toContain('tidemill_server_log_dropped{replica="replica"} 3');
    });

    it('tell the newest event time, which is known after a restart', async () => {
      expect(await readNewestWatermark(database.reader)).toBeUndefined();
      await report(day(3));
      await report(day(1));
      await monitoring.takeReport(REPORTER, { watermark: null, dropped: 0, entries: [] });
      expect(watermarks).toEqual([(FIRST_DAY + 3) * DAY_MS, (FIRST_DAY + 1) * DAY_MS]);
      expect(await readNewestWatermark(database.reader)).toBe((FIRST_DAY + 3) * DAY_MS);
    });
  });

  describe('windows', () => {
    it('close by event time, an hour after the day, and are tested once', async () => {
      await report(day(0));
      clock.advance(DAY_MS + HOUR_MS - 1);
      expect(await monitoring.advance()).toEqual({ didSomething: false });
      clock.advance(1);
      expect(await monitoring.advance()).toEqual({ didSomething: true });
      expect(await monitoring.advance()).toEqual({ didSomething: false });
      const [window, ...others] = await monitoring.windows('flights');
      expect(others).toEqual([]);
      expect(window).toMatchObject({
        from: FIRST_DAY * DAY_MS,
        to: (FIRST_DAY + 1) * DAY_MS,
        version: '1',
        rows: 600,
        state: 'tested',
        lateRows: 0,
      });
      expect(window!.tests.map(({ column, aspect }) => `${column} ${aspect}`)).toEqual([
        'amount values',
        'amount missing',
        'amount unseen',
        'city values',
        'city missing',
        'city unseen',
        '@score values',
      ]);
      expect(window!.tests.filter(({ drifted }) => drifted)).toEqual([]);
    });

    it('count what came late, and say so', async () => {
      await liveThrough(0, 1);
      await report({ ...day(0), answered: 650 });
      await report({ ...day(0), answered: 650 });
      expect((await monitoring.windows('flights'))[0]).toMatchObject({ rows: 600, lateRows: 50 });
    });

    it('are too small under 200 rows, which is said, and raise nothing', async () => {
      await report(day(0, { rows: 150, missing: 0.9 }));
      clock.advance(31 * DAY_MS);
      expect(await monitoring.advance()).toEqual({ didSomething: false });
      clock.advance(HOUR_MS);
      await monitoring.advance();
      expect(await monitoring.windows('flights')).toMatchObject([
        { state: 'too small', rows: 150, tests: [], note: '150 rows; a test needs 200' },
      ]);
      expect(await raised()).toEqual([]);
    });

    it('say when a version has no reference, and when drift is not watched', async () => {
      await monitoring.stop();
      monitoring = start({ files: { referencePath: async () => undefined } });
      await liveThrough(0, 1);
      policy = monitorPolicySchema.parse({ drift: 'off' });
      await liveThrough(1, 2);
      const states = (await monitoring.windows('flights')).map(({ state }) => state);
      expect(states).toEqual(['off', 'no reference']);
    });

    it('wait after a start for what model servers answered while nobody listened', async () => {
      await report(day(0, { rows: 300 }));
      await monitoring.stop();
      clock.advance(3 * DAY_MS);
      monitoring = start({ settleMs: 600_000 });
      expect(await monitoring.advance()).toEqual({ didSomething: false });
      await report(day(0));
      await monitoring.advance();
      expect(await monitoring.windows('flights')).toMatchObject([{ rows: 600, lateRows: 0 }]);
    });

    it('need not wait when events of later are reported, as under a clock that follows them', async () => {
      await report(day(0), { ...day(1, { rows: 10 }), hour: (FIRST_DAY + 1) * DAY_MS + HOUR_MS });
      await monitoring.stop();
      clock.advance(DAY_MS + HOUR_MS);
      monitoring = start({ settleMs: 600_000 });
      await monitoring.advance();
      expect(await monitoring.windows('flights')).toMatchObject([{ rows: 600 }]);
    });

    it('rank every column by effect and importance, also those that are as they were', async () => {
      await monitoring.stop();
      const importanceOf = async () => ({ amount: 0.1, city: 0.9 });
      monitoring = start({ files: { referencePath: async () => referencePath, importanceOf } });
      await liveThrough(0, 1);
      const [window] = await monitoring.windows('flights');
      for (const { column, psi, weight, importance } of window!.tests) {
        const share = column === 'amount' ? 0.1 : column === 'city' ? 0.9 : undefined;
        expect(importance).toBe(share);
        expect(weight).toBe(psi * (share ?? 1));
      }
    });

    it('leave out shadows, and rows of other versions', async () => {
      await report(day(0), { ...day(0), variant: 'shadow' }, { ...day(0), version: '2', variant: 'canary' });
      clock.advance(2 * DAY_MS);
      await monitoring.advance();
      expect(await monitoring.windows('flights')).toMatchObject([{ rows: 600 }]);
    });
  });

  describe('alarms', () => {
    it('open with evidence when values are missing, once, and close after five quiet windows', async () => {
      await liveThrough(0, 3);
      expect(await raised()).toEqual([]);
      await liveThrough(3, 5, { missing: 0.9 });
      expect(await raised()).toHaveLength(1);
      expect((await raised())[0]).toMatchObject({
        model: 'flights',
        version: '1',
        kind: 'drift',
        column: 'amount',
        aspect: 'missing',
        state: 'open',
        openedAt: (FIRST_DAY + 4) * DAY_MS,
        window: { from: (FIRST_DAY + 3) * DAY_MS },
        evidence: { p: 1e-12, sequence: { tests: 7, average_run_length: 1000 } },
      });
      expect(String((await raised())[0]!.evidence['words'])).toMatch(/^missing: 0 % -> (89|9\d) %$/);
      expect(metrics.render()).toContain('tidemill_open_alarms{model="flights",kind="drift"} 1');
      const rate = /tidemill_column_rate\{model="flights",column="amount",aspect="missing"\} (.+)/;
      expect(Number(rate.exec(metrics.render())![1])).toBeCloseTo(0.9, 1);
      await liveThrough(5, 9);
      expect(await monitoring.alarms({ state: 'open' })).toHaveLength(1);
      await liveThrough(9, 11);
      const [alarm] = await monitoring.alarms({ model: 'flights' });
      expect(alarm).toMatchObject({ state: 'closed', closedBy: 'tidemill' });
      expect(alarm!.evidence['last_confirmed']).toBeDefined();
      const audit = await createAuditStore(database.reader).list({ subject: 'models/flights' });
      expect(audit.map(({ action }) => action)).toEqual(['alarm.close', 'alarm.open']);
      expect(metrics.render()).toContain('tidemill_open_alarms{model="flights",kind="drift"} 0');
    });

    it('name the column that moved and say how', async () => {
      await liveThrough(0, 1);
      await liveThrough(1, 3, { shift: 0.7 });
      expect(await raised()).toMatchObject([{ column: 'amount', aspect: 'values' }]);
      const [window] = await monitoring.windows('flights');
      const drifted = window!.tests.filter(({ drifted: isDrifted }) => isDrifted);
      expect(drifted.map(({ column }) => column)).toEqual(['amount']);
      expect(drifted[0]!.words).toMatch(/^from 1\.3\d+: 9\.4 % -> 3\d %; below -1/);
    });

    it('end when drift is not watched any more, and their evidence is forgotten', async () => {
      await liveThrough(0, 2, { missing: 0.9 });
      policy = monitorPolicySchema.parse({ drift: 'off' });
      await liveThrough(2, 3, { missing: 0.9 });
      expect(await monitoring.alarms()).toMatchObject([
        { state: 'closed', closedBy: 'tidemill', closeReason: 'drift is not watched any more' },
      ]);
      expect(await monitoring.sequences('flights')).toEqual([]);
      policy = monitorPolicySchema.parse({});
      await liveThrough(3, 5);
      expect(await raised()).toHaveLength(1);
    });

    it('name the values that the reference does not have, asked of the log once', async () => {
      await monitoring.stop();
      const asked: string[] = [];
      const log = Promise.withResolvers<void>();
      monitoring = start({
        log: {
          measureWindows: async () => [],
          query: async (sql) => {
            asked.push(sql);
            await log.promise;
            return { rows: [['51.2', 3]] };
          },
        },
      });
      await report(day(0, { shift: 50 }));
      clock.advance(DAY_MS + HOUR_MS);
      // The pass does not wait for the log.
      await monitoring.advance();
      expect(await raised()).not.toEqual([]);
      log.resolve();
      await monitoring.idle();
      const unseen = (await raised()).filter(({ aspect }) => aspect === 'unseen');
      expect(unseen).toMatchObject([
        { column: 'amount', evidence: { p: 1e-12, unseen_values: [{ value: '51.2', rows: 3 }] } },
      ]);
      expect(asked).toHaveLength(1);
    });

    it('stop without the names of values that the log has not told yet', async () => {
      await monitoring.stop();
      const asked = Promise.withResolvers<void>();
      let isCancelled = false;
      monitoring = start({
        log: {
          measureWindows: async () => [],
          query: (_, { signal }) =>
            new Promise((_resolve, reject) => {
              signal?.addEventListener('abort', () => {
                isCancelled = true;
                reject(signal.reason as Error);
              });
              asked.resolve();
            }),
        },
      });
      await report(day(0, { shift: 50 }));
      clock.advance(DAY_MS + HOUR_MS);
      await monitoring.advance();
      await asked.promise;
      await monitoring.stop();
      expect(isCancelled).toBe(true);
      expect((await raised()).filter(({ aspect }) => aspect === 'unseen')).toHaveLength(1);
    });

    it('survive a crash: windows are not tested again, and alarms are not raised again', async () => {
      await report(day(0, { missing: 0.9 }));
      clock.advance(2 * DAY_MS);
      await monitoring.advance();
      expect(await raised()).toHaveLength(1);
      await monitoring.stop();
      monitoring = start();
      expect(await monitoring.advance()).toEqual({ didSomething: false });
      expect(await raised()).toHaveLength(1);
    });

    it('are closed once, however many ask for it at once', async () => {
      await liveThrough(0, 1, { missing: 0.9 });
      const [alarm] = await raised();
      const actors = Array.from({ length: 8 }, (_, i) => `actor ${i}`);
      const answers = await Promise.all(
        actors.map((actor) => monitoring.close(alarm!.id, { actor, reason: 'known' })),
      );
      expect(new Set(answers.map(({ closedBy }) => closedBy)).size).toBe(1);
      const audit = await createAuditStore(database.reader).list({ subject: 'models/flights' });
      expect(audit.map(({ action }) => action)).toEqual(['alarm.close', 'alarm.open']);
      expect(audit[0]!.actor).toBe(answers[0]!.closedBy);
    });

    it('are closed once by servers that see a new champion at once', async () => {
      await liveThrough(0, 1, { missing: 0.9 });
      await serveWatched(database, 'flights', 2);
      const others = Array.from({ length: 4 }, () => start());
      await Promise.all(others.map((each) => each.advance()));
      await Promise.all(others.map((each) => each.stop()));
      const audit = await createAuditStore(database.reader).list({ subject: 'models/flights' });
      expect(audit.filter(({ action }) => action === 'alarm.close')).toHaveLength(1);
    });

    it('are raised also when another model cannot be looked at, which is tried again', async () => {
      await registerWatched(database, 'a-broken-one', 1);
      await monitoring.stop();
      let isBroken = false;
      monitoring = start({
        policyOf: async (model) => {
          if (model === 'a-broken-one' && isBroken) throw new Error('broken');
          return policy;
        },
      });
      await monitoring.advance();
      isBroken = true;
      const drifted = day(0, { missing: 0.9 });
      await report({ ...drifted, model: 'a-broken-one' }, drifted);
      clock.advance(2 * DAY_MS);
      await expect(monitoring.advance()).rejects.toThrow('broken');
      expect((await raised()).map(({ model }) => model)).toEqual(['flights']);
      isBroken = false;
      await monitoring.advance();
      expect((await raised()).map(({ model }) => model)).toEqual(['flights', 'a-broken-one']);
    });

    it('are acknowledged and closed by hand, by somebody for a reason', async () => {
      await liveThrough(0, 1, { missing: 0.9 });
      const { id } = (await raised())[0]!;
      expect(await monitoring.acknowledge(id, { actor: 'ada', reason: 'on it' })).toMatchObject({
        state: 'open',
        acknowledgedBy: 'ada',
      });
      const closed = await monitoring.close(id, { actor: 'ada', reason: 'the feed is mended' });
      expect(closed).toMatchObject({ state: 'closed', closedBy: 'ada', closeReason: 'the feed is mended' });
      // The feed is not mended: that is another alarm.
      await liveThrough(1, 2, { missing: 0.9 });
      expect(await raised()).toHaveLength(2);
      await expect(monitoring.close(99, { actor: 'ada', reason: 'x' })).rejects.toMatchObject({
        code: 'RESOURCE_DOES_NOT_EXIST',
      });
    });

    it('are not raised by a version that came at noon and has seen the afternoon alone', async () => {
      const noon = FIRST_DAY * DAY_MS + 12 * HOUR_MS;
      // What moves with the time of day moves in the half day that each version has seen.
      const morning = day(0, { rows: 600, shift: -1 });
      const afternoon = { ...day(0, { rows: 600, shift: 1 }), version: '2', hour: noon };
      await report(morning, afternoon);
      await serveWatched(database, 'flights', 2);
      clock.advance(DAY_MS + HOUR_MS);
      await monitoring.advance();
      expect(await monitoring.windows('flights')).toMatchObject([
        {
          version: '2',
          rows: 600,
          state: 'partial',
          tests: [],
          note: expect.stringMatching(/^Version 2 answered another part/),
        },
      ]);
      expect(await raised()).toEqual([]);
      // From the next day on it is watched.
      await report({ ...day(1, { missing: 0.9 }), version: '2' });
      clock.advance(DAY_MS);
      await monitoring.advance();
      expect((await monitoring.windows('flights'))[0]).toMatchObject({ version: '2', state: 'tested' });
      expect(await raised()).toHaveLength(1);
    });

    it('cannot be raised of drift while each window has another version, which is said until one is tested', async () => {
      const newVersionAtNoon = async (index: number) => {
        const version = index % 2 === 0 ? '2' : '1';
        const from = (FIRST_DAY + index) * DAY_MS;
        await report(
          { ...day(index), version: index % 2 === 0 ? '1' : '2' },
          { ...day(index), version, hour: from + 12 * HOUR_MS },
        );
        await serveWatched(database, 'flights', Number(version));
        clock.advance(from + DAY_MS + HOUR_MS - clock.now());
        await monitoring.advance();
      };
      await newVersionAtNoon(0);
      // One alone is what every promotion brings.
      expect(await monitoring.untested()).toEqual([]);
      expect(metrics.render()).toContain('tidemill_windows_untested{model="flights"} 0');
      await newVersionAtNoon(1);
      await newVersionAtNoon(2);
      const states = (await monitoring.windows('flights')).map(({ state }) => state);
      expect(states).toEqual(repeat(3, 'partial'));
      const run = { model: 'flights', windows: 3, since: FIRST_DAY * DAY_MS, state: 'partial' };
      expect(await monitoring.untested()).toEqual([run]);
      expect(await monitoring.untested('flights')).toEqual([run]);
      expect(await monitoring.untested('others')).toEqual([]);
      const shown = metrics;
      expect(shown.render()).toContain('tidemill_windows_untested{model="flights"} 3');
      // A server that does not run the loop says the same.
      const another = start();
      expect(await another.untested()).toEqual([run]);
      await another.stop();
      await report({ ...day(3), version: '2' });
      clock.advance(DAY_MS);
      await monitoring.advance();
      expect((await monitoring.windows('flights'))[0]).toMatchObject({ version: '2', state: 'tested' });
      expect(await monitoring.untested()).toEqual([]);
      expect(shown.render()).toContain('tidemill_windows_untested{model="flights"} 0');
    });

    it('are not raised on the first day of a model that began to serve in the afternoon', async () => {
      const noon = FIRST_DAY * DAY_MS + 12 * HOUR_MS;
      await tamperWith(
        database,
        `insert into champion_moves (revision, name, at, action, from_version, to_version, below, actor, audit_sequence)
         values (0, 'flights', ${noon}, 'promote', null, 1, null, 'ada', 1)`,
      );
      await report({ ...day(0, { shift: 1 }), hour: noon });
      clock.advance(DAY_MS + HOUR_MS);
      await monitoring.advance();
      await liveThrough(1, 2);
      expect(await monitoring.windows('flights')).toMatchObject([{ state: 'tested' }, { state: 'partial' }]);
      expect(await raised()).toEqual([]);
    });

    it('end with the version that they are of, and another begins afresh', async () => {
      await liveThrough(0, 2, { missing: 0.9 });
      await serveWatched(database, 'flights', 2);
      expect(await monitoring.advance()).toEqual({ didSomething: true });
      expect(await monitoring.alarms()).toMatchObject([
        { state: 'closed', closeReason: 'version 2 serves now' },
      ]);
      expect(await monitoring.sequences('flights')).toEqual([]);
      await report({ ...day(2), version: '2' });
      clock.advance(DAY_MS);
      await monitoring.advance();
      expect(await monitoring.windows('flights')).toMatchObject([
        { version: '2', state: 'tested', from: (FIRST_DAY + 2) * DAY_MS },
        { version: '1' },
        { version: '1' },
      ]);
    });
  });

  describe('performance', () => {
    const measured = (value: number, labelled = 600) => ({
      rows: 600,
      labelled,
      value,
      loss: undefined,
      baseline: undefined,
    });

    it('is learned from ten windows, then tested when the labels have come', async () => {
      measure = ({ from }) =>
        measured(from < (FIRST_DAY + 14) * DAY_MS ? 0.8 + ((from / DAY_MS) % 3) / 100 : 0.6);
      const baseline = async () =>
        (await monitoring.explain('flights')).find(({ what }) => what === 'performance: baseline');
      await liveThrough(0, 10);
      expect(await baseline()).toMatchObject({ value: 'not known yet' });
      await liveThrough(10, 14);
      // Who reads it sees a level that is low, of which no alarm tells.
      expect(await baseline()).toMatchObject({
        value: expect.stringMatching(/^roc_auc 0\.81\d ± 0\.00\d over 10 windows of version 1$/),
        formula: expect.stringMatching(/gate\.atLeast .* retrain\.schedule/),
      });
      const states = (await monitoring.windows('flights')).map(({ performanceState }) => performanceState);
      expect(states).toEqual([undefined, ...repeat(3, 'tested'), ...repeat(10, 'reference')]);
      expect(await raised()).toEqual([]);
      await liveThrough(14, 18);
      expect(await raised()).toMatchObject([
        {
          kind: 'performance',
          version: '1',
          window: { from: (FIRST_DAY + 14) * DAY_MS },
          evidence: { metric: 'roc_auc', value: 0.6, reference: { windows: 10 } },
        },
      ]);
      expect((await raised())[0]!.column).toBeUndefined();
      expect(metrics.render()).toMatch(
        /tidemill_performance\{model="flights",version="1",metric="roc_auc"\} 0\.6/,
      );
      expect(metrics.render()).toContain('tidemill_label_coverage{model="flights",version="1"} 1');
    });

    it('takes the days of the evaluation set for reference, where there are ten', async () => {
      await monitoring.stop();
      monitoring = start({
        baselineOf: async () => Array.from({ length: 12 }, (_, index) => 0.8 + (index % 3) / 100),
      });
      measure = () => ({ ...measured(0.6), labelled: 480, sampled: 400 });
      await liveThrough(0, 2);
      expect(await raised()).toMatchObject([
        {
          kind: 'performance',
          evidence: {
            reference: { of_evaluation_set: 12 },
            words: expect.stringMatching(
              /over 12 windows; of 400 of 480 labelled rows; 80 % of its rows have a label yet$/,
            ),
          },
        },
      ]);
    });

    it('turns a loss into skill, so that a hard day is no alarm', async () => {
      policy = monitorPolicySchema.parse({ performance: { metric: 'log_loss' } });
      measure = ({ from }) => {
        const hardness = 1 + ((from / DAY_MS) % 5);
        return {
          rows: 600,
          labelled: 600,
          value: 0.3 * hardness,
          loss: 0.3 * hardness,
          baseline: 0.5 * hardness,
        };
      };
      await liveThrough(0, 16);
      expect(await raised()).toEqual([]);
      expect((await monitoring.windows('flights'))[1]!.performance).toMatchObject({
        skill: 0.4,
        metric: 'log_loss',
      });
    });

    it('is compared with windows of the same metric and the same length only', async () => {
      policy = monitorPolicySchema.parse({ performance: { metric: 'accuracy' } });
      measure = ({ from }) => ({ ...measured(0.9 + ((from / DAY_MS) % 3) / 100), loss: 0.4, baseline: 0.5 });
      await liveThrough(0, 13);
      const windowOf = async (index: number) =>
        (await monitoring.windows('flights')).find(({ from }) => from === (FIRST_DAY + index) * DAY_MS);
      expect(await windowOf(11)).toMatchObject({ performanceState: 'tested' });
      // A skill of 0.2 is no worse than an accuracy of 0.9: it is something else.
      policy = monitorPolicySchema.parse({ performance: { metric: 'log_loss' } });
      await liveThrough(13, 16);
      expect(await windowOf(14)).toMatchObject({
        performanceState: 'reference',
        performance: { metric: 'log_loss', skill: expect.closeTo(0.2, 12) },
      });
      // Back again, but over two days: the windows of before vary otherwise.
      policy = monitorPolicySchema.parse({ performance: { metric: 'accuracy' }, window: { every: '2d' } });
      await liveThrough(16, 18);
      expect(await windowOf(15)).toMatchObject({
        performanceState: 'tested',
        performance: { note: 'its window was made by another policy, so that this raises no alarm' },
      });
      await liveThrough(18, 20);
      expect(await windowOf(16)).toMatchObject({ performanceState: 'reference' });
      expect(await raised()).toEqual([]);
    });

    it('needs as many labels in windows that raise no alarm, or it would say what a handful of rows says', async () => {
      policy = monitorPolicySchema.parse({ labels: { delay: '10d' } });
      measure = ({ from }) => measured(0.6, from === FIRST_DAY * DAY_MS ? 49 : 50);
      await liveThrough(0, 2);
      policy = monitorPolicySchema.parse({ labels: { delay: '1h' }, window: { every: '2d' } });
      await liveThrough(2, 3);
      expect(await monitoring.windows('flights')).toMatchObject([
        { performanceState: 'tested', performance: { labelled: 50 } },
        {
          performanceState: 'too few labels',
          performance: { labelled: 49, note: '49 of 600 rows have a label; 50 are needed' },
        },
      ]);
    });

    it('is missing where labels are, and shown as missing', async () => {
      measure = () => measured(0.8, 20);
      await liveThrough(0, 2);
      const [, window] = await monitoring.windows('flights');
      expect(window).toMatchObject({
        performanceState: 'too few labels',
        performance: { labelled: 20, note: '20 of 600 rows have a label; 50 are needed' },
      });
      measure = () => ({ rows: 600, labelled: 0, value: undefined, loss: undefined, baseline: undefined });
      await liveThrough(2, 4);
      expect(metrics.render()).not.toMatch(/^tidemill_performance\{/m);
    });
  });

  it('costs next to nothing when nothing is due', async () => {
    let queries = 0;
    const reader = database.reader.withPlugin({
      transformQuery({ node }) {
        queries++;
        return node;
      },
      transformResult: async ({ result }) => result,
    });
    await monitoring.stop();
    monitoring = start({ database: { ...database, reader } });
    await liveThrough(0, 2);
    // A pass without work asks the database for the revision of what serves, and for nothing else but webhooks.
    await monitoring.advance();
    const before = queries;
    await monitoring.advance();
    await monitoring.idle();
    const each = database.dialect === 'sqlite' ? 2 : 6;
    expect(queries - before).toBeLessThanOrEqual(each);
  });
});
