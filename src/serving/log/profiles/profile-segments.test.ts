import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { tempDir } from '../../../../tests/support/index.ts';
import { createLogSink, type LogSink } from '../../../../tests/support/log-sink.ts';
import { irisModel, mixedModel, SETOSA_ROW, withProfile } from '../../../../tests/support/served-models.ts';
import { startTestModelServer, type TestModelServer } from '../../../../tests/support/test-model-server.ts';
import type { Signature } from '../../../models/index.ts';
import { type ColumnValues, decodeProfile, type ProfileSpec } from '../../../profiles/index.ts';
import { createSegmentCounter } from './count-segments.ts';
import { type BookPage, createProfileBook } from './profile-book.ts';

const HOUR = Date.UTC(2001, 3, 1, 7);

async function serveMixed(sink: LogSink, segments: string[]) {
  const rows = [{ plan: 'pro', amount: 7, since: HOUR }];
  const { bytes, spec } = await withProfile(mixedModel(), rows);
  const server = await startTestModelServer({ ...sink, reportMs: 10 });
  const champion = server.source.version('1', bytes);
  const desire = (wanted: string[]) => server.source.desire([{ name: 'mixed', champion, segments: wanted }]);
  desire(segments);
  await server.ready;
  return { server, spec, desire };
}

const ask = (server: TestModelServer, instances: object[], timestamp = HOUR + 5) =>
  server.post('/predict', {
    instances: instances.map((row) => ({ amount: 7, since: HOUR, plan: null, ...row })),
    timestamp,
  });

/** Rows by segment: as answered, and as the profile has them. */
function rowsOf(sink: LogSink, spec: ProfileSpec): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const { segment, answered, profile } of sink.entries()) {
    expect(decodeProfile(spec, profile ?? '').rows).toBe(answered);
    sums[segment] = (sums[segment] ?? 0) + answered;
  }
  return sums;
}

describe('profiles by segment', () => {
  it('count the rows of each value: categories of the model, and texts and booleans that it does not know', async () => {
    const sink = createLogSink();
    const { server, spec } = await serveMixed(sink, ['plan', 'region', 'is_new', 'amount', 'toString']);
    await ask(server, [
      { plan: 'pro', region: 'north', is_new: true },
      { plan: 'pro', region: 'south', is_new: false },
      { plan: 'odd', region: 'south' },
      { plan: null, region: 3 },
    ]);
    await ask(server, [{ plan: 'pro' }]);
    await sink.until(() =>
      expect(rowsOf(sink, spec)).toEqual({
        '': 5,
        'plan=pro': 3,
        'plan=odd': 1,
        'region=north': 1,
        'region=south': 2,
        'is_new=true': 1,
        'is_new=false': 1,
      }),
    );
    const pro = sink.entries().find(({ segment }) => segment === 'plan=pro');
    const counts = decodeProfile(spec, pro?.profile ?? '');
    const plan = spec.columns.findIndex(({ name }) => name === 'plan');
    expect(counts.columns[plan]).toMatchObject({ count: 3, missing: 0, unseen: 0 });
    expect(pro?.latency.every((count) => count === 0)).toBe(true);
  });

  it('follow what is desired without loading the model again', async () => {
    const sink = createLogSink();
    const { server, spec, desire } = await serveMixed(sink, []);
    await ask(server, [{ plan: 'pro' }]);
    await sink.until(() => expect(rowsOf(sink, spec)).toEqual({ '': 1 }));
    desire(['plan']);
    const hears = async () => {
      await ask(server, [{ plan: 'pro' }]);
      if (rowsOf(sink, spec)['plan=pro'] === undefined) throw new Error('no row is counted apart');
    };
    await vi.waitFor(hears, { timeout: 30_000, interval: 5 });
    expect(server.source.fetched).toHaveLength(1);
  });

  it('say how many rows no segment counts', async () => {
    const sink = createLogSink();
    const { server, spec } = await serveMixed(sink, ['region']);
    await ask(
      server,
      Array.from({ length: 23 }, (_, i) => ({ region: `r${i}` })),
    );
    await ask(server, [{ region: 'r0' }, { region: 'r22' }, { region: 'x'.repeat(101) }]);
    await sink.until(() => expect(rowsOf(sink, spec)).toMatchObject({ '': 26, 'region=r0': 2 }));
    expect(Object.keys(rowsOf(sink, spec))).toHaveLength(21);
    expect((await server.get('/metrics')).body).toContain(
      '\nprofile_rows_without_segment_total{model="mixed",version="1",column="region"} 5\n',
    );
  });

  it('are as many whether rows come in lists or by name, one by one or together', async () => {
    const sink = createLogSink();
    const { bytes, spec } = await withProfile(irisModel(), [SETOSA_ROW]);
    const server = await startTestModelServer({ ...sink, reportMs: 10 });
    const champion = server.source.version('1', bytes);
    server.source.desire([{ name: 'iris', champion, segments: ['@class', 'note'] }]);
    await server.ready;
    await Promise.all([
      server.post('/predict', { instances: [Object.values(SETOSA_ROW), [6.5, 3, 5.5, 2]], timestamp: HOUR }),
      server.post('/predict', { features: { ...SETOSA_ROW, note: 'a' }, timestamp: HOUR }),
      server.post('/predict', { features: { ...SETOSA_ROW, note: 'b' }, timestamp: HOUR }),
    ]);
    await sink.until(() => expect(rowsOf(sink, spec)).toMatchObject({ '': 4, 'note=a': 1, 'note=b': 1 }));
    expect(rowsOf(sink, spec)['@class=setosa']).toBe(3);
  });

  it('are counted again by column and value, also where the name of one column begins another one', async () => {
    const sink = createLogSink();
    sink.goAway();
    const { server, spec } = await serveMixed(sink, ['a', 'a=b']);
    const values = Array.from({ length: 22 }, (_, i) => ({ 'a=b': `v${i}` }));
    await ask(server, [...values, { a: 'x' }, { a: 'b=' }, { a: 'x', 'a=b': 'v0' }]);
    const cacheDir = tempDir();
    cpSync(join(server.cacheDir, 'log'), join(cacheDir, 'log'), {
      recursive: true,
      filter: (path) => !path.includes('snapshot'),
    });
    const next = createLogSink();
    await startTestModelServer({ ...next, source: server.source, cacheDir, reportMs: 10 });
    await next.until(() => expect(rowsOf(next, spec)).toMatchObject({ '': 25, 'a=x': 2, 'a=b=v0': 2 }));
    expect(Object.keys(rowsOf(next, spec))).toHaveLength(23);
  });

  it.each([8, 200])('count a batch of %s rows as those rows one by one', (rows) => {
    const spec: ProfileSpec = {
      columns: [
        { name: 'n', kind: 'numeric', min: 0, max: 4, edges: [0, 2, 4] },
        { name: 'c', kind: 'categorical', categories: ['v0', 'v1', 'v2'], hasOther: false },
      ],
    };
    const texts = Array.from({ length: rows + 3 }, (_, i) => (i % 7 === 0 ? null : `v${i % 3}`));
    const views: ColumnValues[] = [
      { numbers: Float32Array.from({ length: 2 * rows + 6 }, (_, i) => i % 5), stride: 2, offset: 1 },
      { texts, stride: 1, offset: 0 },
    ];
    const [together, alone] = [[rows], Array.from({ length: rows }, () => 1)].map((batches) => {
      const book = createProfileBook();
      const page = book.open({ model: 'm', version: '1', variant: 'champion', hour: HOUR }, spec);
      const segments = ['c'];
      const count = createSegmentCounter({
        signature: { columns: [] } as unknown as Signature,
        spec,
        book,
        segments: () => segments,
        countLeftOut() {},
      });
      let offset = 3;
      for (const size of batches) {
        count({ page: page as BookPage, views, offset, rows: size, given: () => [] });
        offset += size;
      }
      return book.capture().all;
    });
    expect(together).toEqual(alone);
    expect(together).toHaveLength(4);
    const counted = together?.reduce((sum, { answered }) => sum + answered, 0);
    expect(counted).toBe(texts.slice(3).filter((text) => text !== null).length);
  });
});
