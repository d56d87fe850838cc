import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tempDir } from '../../../tests/support/index.ts';
import { createLogSink, type LogSink } from '../../../tests/support/log-sink.ts';
import {
  IRIS_COLUMNS,
  irisModel,
  lineModel,
  SETOSA,
  SETOSA_ROW,
  withExample,
} from '../../../tests/support/served-models.ts';
import { startTestModelServer, type TestModelServer } from '../../../tests/support/test-model-server.ts';
import { createEventClock, MOST_AHEAD_MS } from '../../platform/index.ts';
import { diskFiles, type SegmentFiles } from './segment-writer.ts';

const EVENT = Date.UTC(2001, 3, 1, 7, 15);

async function serveIris(
  sink: LogSink,
  options: Parameters<typeof startTestModelServer>[0] = {},
): Promise<TestModelServer> {
  const { shipSegment, reportProfiles } = sink;
  const server = await startTestModelServer({ shipSegment, reportProfiles, reportMs: 10, ...options });
  const model = await withExample(irisModel(), [SETOSA_ROW]);
  server.source.desire([{ name: 'iris', champion: server.source.version('3', model) }]);
  await server.ready;
  return server;
}

const ask = (server: TestModelServer, more = {}) =>
  server.post('/predict', { features: SETOSA_ROW, timestamp: EVENT, ...more });

describe('the prediction log', () => {
  it('has a line for every answered row: id, times, version, variant, row, prediction, probabilities', async () => {
    const sink = createLogSink();
    const server = await serveIris(sink);
    const before = Date.now();
    const single = await ask(server);
    const { body } = await server.post('/predict', {
      instances: [SETOSA, { ...SETOSA_ROW, garden: { side: 'north' }, note: 'x\ny' }],
      timestamp: '2001-04-01T07:15:00.5',
    });
    await sink.until(() => expect(sink.predictions()).toHaveLength(3));
    const [first, second, third] = sink.predictions();
    expect(first).toMatchObject({
      id: single.body.prediction_id,
      t: EVENT,
      m: 'iris',
      v: '3',
      var: 'champion',
      f: SETOSA_ROW,
      p: 'setosa',
      pr: Object.values(single.body.probabilities),
      ms: single.body.inference_time_ms,
    });
    expect(first?.at).toBeGreaterThanOrEqual(before);
    expect(second).toMatchObject({ id: body.predictions[0].prediction_id, t: EVENT + 500, f: SETOSA_ROW });
    expect(Object.keys(second?.f ?? {})).toEqual([...IRIS_COLUMNS]);
    expect(third?.f).toEqual({ ...SETOSA_ROW, garden: { side: 'north' }, note: 'x\ny' });
  });

  it('takes the time of the answer for the event time when the caller tells none', async () => {
    const sink = createLogSink();
    const server = await serveIris(sink, { clock: { now: () => 123_456_789 } });
    await server.post('/predict', SETOSA_ROW);
    await sink.until(() => expect(sink.predictions()).toHaveLength(1));
    expect(sink.predictions()[0]).toMatchObject({ t: 123_456_789, f: SETOSA_ROW });
  });

  it('keeps the attributes of a CloudEvent, whose time is the event time', async () => {
    const sink = createLogSink();
    const server = await serveIris(sink);
    await server.post(
      '/predict',
      { features: SETOSA_ROW },
      {
        'ce-specversion': '1.0',
        'ce-id': 'a-1',
        'ce-source': '/g%C3%A4rten/1',
        'ce-type': 'iris.seen',
        'ce-time': '2001-04-01T07:15:00Z',
      },
    );
    await sink.until(() => expect(sink.predictions()).toHaveLength(1));
    expect(sink.predictions()[0]).toMatchObject({
      t: EVENT,
      ce: { id: 'a-1', source: '/gärten/1', type: 'iris.seen' },
    });
  });

  it('leaves probabilities out of a regression, and has null for a value that is none', async () => {
    const sink = createLogSink();
    const server = await startTestModelServer({ ...sink, reportMs: 10 });
    server.source.desire([{ name: 'line', champion: server.source.version('1', lineModel(0.5)) }]);
    await server.ready;
    await server.post('/predict', { features: { a: 1.25, b: 0.1 } });
    await server.post('/predict', { features: { a: 1, b: null } });
    await sink.until(() => expect(sink.predictions()).toHaveLength(2));
    expect(sink.predictions().map(({ p, pr }) => [p, pr])).toEqual([
      [2.7, undefined],
      [null, undefined],
    ]);
  });

  it('has no line for a request that was refused', async () => {
    const sink = createLogSink();
    const server = await serveIris(sink);
    expect((await server.post('/predict', { features: { wrong: 1 } })).status).toBe(400);
    await ask(server);
    await sink.until(() => expect(sink.predictions()).toHaveLength(1));
  });

  it('advances a clock that follows events, by requests and by labels', async () => {
    const told: number[] = [];
    const server = await serveIris(createLogSink(), { onEventTime: (timeMs) => told.push(timeMs) });
    const { body } = await ask(server);
    const label = { prediction_id: body.prediction_id, label: 'setosa', timestamp: EVENT + 5 };
    await server.post('/feedback', label);
    // What is refused has not happened.
    const far = '9999-12-31T00:00:00Z';
    expect((await server.post('/predict', { features: { wrong: 1 }, timestamp: far })).status).toBe(400);
    expect((await server.post('/feedback', { ...label, label: 'rose', timestamp: far })).status).toBe(400);
    expect(told).toEqual([EVENT, EVENT + 5]);
  });
});

describe('a clock that follows events', () => {
  it('does not follow an event far ahead of all others, whose row is kept, nor after a restart', async () => {
    const sink = createLogSink();
    const ask = (timestamp: number) => server.post('/predict', { features: SETOSA, timestamp });
    const following = () => {
      const clock = createEventClock({ mostAheadMs: MOST_AHEAD_MS });
      let ignored = 0;
      return {
        clock,
        onEventTime: (timeMs: number) => void (clock.advance(timeMs) || ignored++),
        capEventTime: clock.cap,
        ignoredEvents: () => ignored,
      };
    };
    const first = following();
    const server = await serveIris(sink, first);
    await ask(Date.UTC(9999, 11, 31));
    await sink.until(() => expect(sink.predictions()).toHaveLength(1));
    await ask(EVENT);
    await ask(Date.UTC(9999, 11, 31));
    await ask(EVENT + 60_000);
    await sink.until(() => expect(sink.reports().at(-1)?.report.watermark).toBe(EVENT + 60_000));
    await sink.until(() => expect(sink.predictions()).toHaveLength(4));
    expect(sink.reports()[0]?.report.watermark ?? EVENT).toBeLessThanOrEqual(EVENT + 60_000);
    expect(first.clock.now()).toBe(EVENT + 60_000);
    expect((await server.get('/metrics')).body).toContain('\nevents_too_far_ahead 2\n');
    expect((await server.get('/ready')).body).toMatchObject({ ignored_event_times: 2 });

    await server.stop();
    const again = following();
    await serveIris(sink, { ...again, cacheDir: server.cacheDir });
    expect(again.clock.now()).toBe(EVENT + 60_000);
  });
});

describe('shipping', () => {
  it('sends predictions, then feedback, then the profiles with the newest event time of what was sent', async () => {
    const sink = createLogSink();
    const server = await serveIris(sink, { reportMs: 200 });
    sink.goAway();
    const { body } = await ask(server);
    await server.post('/feedback', {
      prediction_id: body.prediction_id,
      label: 'setosa',
      timestamp: EVENT + 60_000,
    });
    sink.comeBack();
    await sink.until(() => expect(sink.reports()).toHaveLength(1));
    const kinds = sink.taken.map((one) => ('kind' in one ? one.kind : 'report'));
    expect(kinds).toEqual(['predictions', 'feedback', 'report']);
    expect(sink.reports()[0]?.report.watermark).toBe(EVENT + 60_000);
    expect(sink.entries()).toMatchObject([
      { model: 'iris', version: '3', variant: 'champion', answered: 1, part: 0 },
    ]);
    const { replica, incarnation } = sink.reports()[0]!;
    const folder = join(server.cacheDir, 'log', incarnation);
    await sink.until(() =>
      expect(readdirSync(folder).filter((name) => name.endsWith('.ndjson'))).toEqual([]),
    );
    expect(readFileSync(join(server.cacheDir, 'log/replica'), 'utf8').trim()).toBe(replica);
  });

  it('says nothing while nothing is new', async () => {
    const sink = createLogSink();
    const server = await serveIris(sink);
    await ask(server);
    await sink.until(() => expect(sink.reports()).toHaveLength(1));
    const count = sink.taken.length;
    for (let i = 0; i < 20; i++) await server.get('/health');
    expect(sink.taken).toHaveLength(count);
  });

  it('goes on without the control plane in one growing segment, and sends everything when that is back', async () => {
    const sink = createLogSink();
    const server = await serveIris(sink);
    sink.goAway();
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) {
      ids.push((await ask(server)).body.prediction_id);
      if (i === 1)
        await sink.until(() =>
          expect(server.log.some(({ msg }) => /could not be shipped/.test(msg))).toBe(true),
        );
    }
    expect((await server.get('/ready')).status).toBe(200);
    const label = await server.post('/feedback', { prediction_id: ids[0], label: 'setosa' });
    expect(label.body).toEqual({ accepted: 1 });
    sink.comeBack();
    await sink.until(() => expect(sink.predictions().map(({ id }) => id)).toEqual(ids));
    await sink.until(() => expect(sink.feedback()).toHaveLength(1));
    await sink.until(() => expect(sink.entries()).toMatchObject([{ answered: 5 }]));
    expect(sink.predictions()).toHaveLength(5);
  });

  it('sends a segment again when the answer was lost, under the same name', async () => {
    const sink = createLogSink();
    const server = await serveIris(sink);
    sink.loseNextAnswer();
    await ask(server);
    await sink.until(() => expect(sink.reports()).toHaveLength(1));
    const sent = sink.taken.flatMap((one) => ('text' in one ? [one] : []));
    expect(sent).toHaveLength(2);
    expect(sent[0]).toEqual(sent[1]);
    expect(sink.entries()).toMatchObject([{ answered: 1 }]);
  });

  it('sets a segment aside that is refused, says so, and sends the others', async () => {
    const sink = createLogSink();
    sink.refused.add('predictions');
    const server = await serveIris(sink);
    const { body } = await ask(server);
    await server.post('/feedback', { prediction_id: body.prediction_id, label: 'setosa' });
    await sink.until(() => expect(sink.feedback()).toHaveLength(1));
    const told = server.log.find(({ msg }) => /refused and is set aside/.test(msg));
    expect(told).toMatchObject({ level: 'error' });
    expect(readdirSync(told?.['aside'])).toHaveLength(1);
    expect((await server.get('/metrics')).body).toContain(
      '\nprediction_log_refused_total{kind="predictions"} 1\n',
    );
  });

  it('takes a refused report for told, counts it, and goes on', async () => {
    const sink = createLogSink();
    sink.refused.add('profiles');
    const server = await serveIris(sink);
    await ask(server);
    const refusals = () => server.log.filter(({ msg }) => msg === 'a report of profiles was refused');
    await sink.until(() => expect(refusals()).toHaveLength(1));
    sink.refused.clear();
    await ask(server);
    // A page that grows tells its whole counts.
    await sink.until(() => expect(sink.entries()).toMatchObject([{ answered: 2 }]));
    expect(refusals()).toHaveLength(1);
    expect(server.log.filter(({ msg }) => /could not be shipped/.test(msg))).toEqual([]);
    const { body } = await server.get('/metrics');
    expect(body).toContain('\nprediction_log_refused_total{kind="profiles"} 1\n');
  });

  it('sends what is left when it stops, and leaves an empty folder', async () => {
    const sink = createLogSink();
    const server = await serveIris(sink, { reportMs: 600_000 });
    const { body } = await ask(server);
    await server.stop();
    expect(sink.predictions().map(({ id }) => id)).toEqual([body.prediction_id]);
    expect(sink.entries()).toMatchObject([{ answered: 1 }]);
    expect(readdirSync(join(server.cacheDir, 'log'))).toEqual(['replica']);
  });

  it('ends a segment that has grown large', async () => {
    const sink = createLogSink();
    const server = await serveIris(sink, { reportMs: 600_000, segmentBytes: 700 });
    for (let i = 0; i < 7; i++) await ask(server);
    await server.stop();
    const sequences = sink.taken.flatMap((one) => ('text' in one ? [one.sequence] : []));
    expect(sequences.length).toBeGreaterThan(2);
    expect(sequences).toEqual(sequences.map((_, i) => i));
    expect(sink.predictions()).toHaveLength(7);
  });

  it('sends what an earlier process left under its own name, once and before anything new', async () => {
    const sink = createLogSink();
    const cacheDir = tempDir();
    sink.goAway();
    const first = await serveIris(sink, { cacheDir });
    const { body } = await ask(first);
    await first.stop();
    sink.comeBack();
    const second = await serveIris(sink, { cacheDir });
    const { body: later } = await ask(second);
    await sink.until(() => expect(sink.predictions()).toHaveLength(2));
    expect(sink.predictions().map(({ id }) => id)).toEqual([body.prediction_id, later.prediction_id]);
    await sink.until(() => expect(sink.entries()).toHaveLength(2));
    const [before, after] = sink.entries();
    expect(before?.replica).toBe(after?.replica);
    expect(before?.incarnation).not.toBe(after?.incarnation);
    expect(sink.entries()).toMatchObject([{ answered: 1 }, { answered: 1 }]);
  });

  it('goes on when another server that shares the folder has sent what an earlier process left', async () => {
    const sink = createLogSink();
    const cacheDir = tempDir();
    sink.goAway();
    const first = await serveIris(sink, { cacheDir });
    await ask(first);
    await first.stop();
    const second = await serveIris(sink, { cacheDir });
    const { body } = await ask(second);
    const left = readdirSync(join(cacheDir, 'log'), { recursive: true, encoding: 'utf8' });
    const others = left.filter(
      (path) =>
        path.endsWith('predictions-0000000000.ndjson') &&
        !readFileSync(join(cacheDir, 'log', path), 'utf8').includes(body.prediction_id),
    );
    expect(others.length).toBeGreaterThan(0);
    for (const path of others) rmSync(join(cacheDir, 'log', path));
    sink.comeBack();
    await sink.until(() => expect(sink.predictions().map(({ id }) => id)).toEqual([body.prediction_id]));
  });
});

describe('a disk that does not take the log', () => {
  function fullDisk() {
    let isFull = false;
    const files: SegmentFiles = {
      ...diskFiles,
      write(fd, bytes, offset, length) {
        if (!isFull) return diskFiles.write(fd, bytes, offset, length);
        if (offset > 0) throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
        return diskFiles.write(fd, bytes, offset, Math.min(length, 40));
      },
    };
    return { files, fill: (full: boolean) => (isFull = full) };
  }

  it('costs entries, which are counted, and no answer; whole lines remain', async () => {
    const sink = createLogSink();
    const disk = fullDisk();
    const server = await serveIris(sink, { segmentFiles: disk.files, reportMs: 600_000 });
    const first = await ask(server);
    disk.fill(true);
    for (let i = 0; i < 3; i++) expect((await ask(server)).status).toBe(200);
    const refused = await server.post('/feedback', {
      prediction_id: first.body.prediction_id,
      label: 'setosa',
    });
    expect(refused.status).toBe(503);
    expect(refused.body.message).toContain('ENOSPC');
    expect((await server.get('/metrics')).body).toContain('\nprediction_log_dropped_total 3\n');
    expect(server.log.filter(({ msg }) => /answered but not logged/.test(msg))).toHaveLength(1);
    disk.fill(false);
    const last = await ask(server);
    await server.stop();
    expect(sink.predictions().map(({ id }) => id)).toEqual(
      [first, last].map(({ body }) => body.prediction_id),
    );
    expect(sink.reports().at(-1)?.report.dropped).toBe(3);
    expect(sink.entries()).toMatchObject([{ answered: 5 }]);
  });

  it('is told to the control plane long before the next report, once', async () => {
    const sink = createLogSink();
    const disk = fullDisk();
    const server = await serveIris(sink, { segmentFiles: disk.files, reportMs: 600_000 });
    disk.fill(true);
    await ask(server);
    await sink.until(() => expect(sink.reports().map(({ report }) => report.dropped)).toEqual([1]));
    await Promise.all([ask(server), ask(server)]);
    await sink.until(() => expect(sink.reports().at(-1)?.report.dropped).toBe(3));
  });

  it('takes no more than the limit while the control plane is away', async () => {
    const sink = createLogSink();
    sink.goAway();
    const server = await serveIris(sink, { logLimitBytes: 1000 });
    for (let i = 0; i < 8; i++) expect((await ask(server)).status).toBe(200);
    const { body } = await server.get('/metrics');
    const dropped = Number(/\nprediction_log_dropped_total (\d+)/.exec(body)?.[1]);
    expect(dropped).toBeGreaterThan(0);
    sink.comeBack();
    await sink.until(() => expect(sink.reports().at(-1)?.report.dropped).toBe(dropped));
    expect(sink.predictions()).toHaveLength(8 - dropped);
  });
});
