import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { beforeEach, expect, it } from 'vitest';
import { describeDatabases, fixedClock, silentLogger, tempDir } from '../../tests/support/index.ts';
import { createLocalArtifactStore } from '../artifacts/index.ts';
import { type App, createApp, createMetrics, stopGracefully } from '../platform/index.ts';
import { createVersionAdder } from './add-versions.ts';
import { createDatasetStore, datasetRoutes, ingestFile, readRows } from './index.ts';
import { runHere, runInChild } from './table-work.ts';

const NOW = 1_795_218_807_000;
const CSV = 'customer,month,spent,vip\nx,2026-01-01,1.5,true\ny,2026-02-01,,false\n';

describeDatabases('dataset routes', (openDatabase) => {
  let app: App;
  let url: (path: string) => string;
  let clock: ReturnType<typeof fixedClock>;
  let tempFolder: string;
  let deps: Parameters<typeof createVersionAdder>[0];

  beforeEach(async () => {
    const database = await openDatabase();
    clock = fixedClock(NOW);
    tempFolder = join(tempDir(), 'uploads');
    deps = {
      database,
      artifacts: createLocalArtifactStore({ root: tempDir() }),
      clock,
      tempFolder,
      runTableWork: runHere,
    };
    app = createApp({
      name: 'test',
      version: '0',
      logger: silentLogger,
      metrics: createMetrics(),
      clock,
      verifyResponses: true,
    });
    mkdirSync(join(tempFolder, 'tidemill-dataset-left'), { recursive: true });
    await app.register(datasetRoutes({ ...deps, maxUploadBytes: 100_000 }));
    await app.ready();
    url = (path) => `/api/v1/datasets${path}`;
    return async () => {
      await app.close();
      await database.close();
    };
  });

  async function upload(name: string, body: string | Buffer, query = '?filename=table.csv') {
    const response = await app.inject({
      method: 'POST',
      url: url(`/${encodeURIComponent(name)}/versions${query}`),
      payload: Readable.from([body]),
      headers: { 'content-type': 'text/csv', 'x-tidemill-actor': 'ada' },
    });
    return { status: response.statusCode, body: response.json() };
  }

  async function get(path: string) {
    const response = await app.inject({ url: url(path) });
    return { status: response.statusCode, body: response.json() };
  }

  async function addRows(name: string, rows: unknown[], idempotency_key?: string) {
    const response = await app.inject({
      method: 'POST',
      url: url(`/${name}/rows`),
      payload: { rows, idempotency_key },
    });
    return { status: response.statusCode, body: response.json() };
  }

  async function download(name: string, version: number | string = 'latest') {
    const response = await app.inject({ url: url(`/${name}/versions/${version}/data`) });
    expect(response.statusCode).toBe(200);
    const path = join(tempDir(), 'download.parquet');
    writeFileSync(path, response.rawPayload);
    const rows: Record<string, unknown>[] = [];
    for await (const batch of readRows(path)) rows.push(...batch.map((row) => ({ ...row })));
    return { rows, response, path };
  }

  it('keeps an upload as a version with schema, statistics and provenance', async () => {
    const { status, body } = await upload('spending', CSV, '?filename=may.csv&id=customer&time=month');
    expect(status).toBe(200);
    expect(body).toMatchObject({
      created: true,
      name: 'spending',
      version: 1,
      digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      rows: 2,
      schema: [
        { name: 'customer', type: 'string', nullable: false, role: 'id' },
        { name: 'month', type: 'datetime', nullable: false, role: 'time' },
        { name: 'spent', type: 'double', nullable: true },
        { name: 'vip', type: 'boolean', nullable: false },
      ],
      source: {
        kind: 'file',
        name: 'may.csv',
        sha256: createHash('sha256').update(CSV).digest('hex'),
        size_bytes: CSV.length,
      },
      notes: [],
      created_at: NOW,
      created_by: 'ada',
    });
    const { created, ...version } = body;
    expect(created).toBe(true);
    expect((await get('/spending/versions/1')).body).toEqual(version);
    expect((await get('/spending/versions/latest')).body).toEqual(version);
    expect((await get('/spending/versions/1/statistics')).body).toEqual(version.statistics);
    expect(version.statistics.columns[2]).toMatchObject({
      count: 1,
      missing: 1,
      mean: 1.5,
      standard_deviation: null,
    });
    expect(readdirSync(tempFolder)).toEqual([]);
  });

  it('gives the rows back as Parquet, whose digest is the version’s', async () => {
    const { body } = await upload('spending', CSV);
    const { rows, response, path } = await download('spending');
    expect(rows[1]).toEqual({ customer: 'y', month: '2026-02-01T00:00:00.000Z', spent: null, vip: false });
    expect(response.headers).toMatchObject({
      'content-type': 'application/vnd.apache.parquet',
      'content-length': String(body.size_bytes),
      'x-content-sha256': createHash('sha256').update(response.rawPayload).digest('hex'),
      'content-disposition': "attachment; filename*=UTF-8''spending-1.parquet",
    });
    expect((await ingestFile({ path, outPath: `${path}.again` })).digest).toBe(body.digest);
  });

  it('finds the version that has the same content, whatever the file was', async () => {
    const first = await upload('spending', CSV);
    const second = await upload('spending', CSV.replace('x,', 'z,'));
    const { path } = await download('spending', 1);
    const parquet = readFileSync(path);
    const again = await upload('spending', parquet, '?filename=table.parquet');
    expect(second.body).toMatchObject({ version: 2, created: true });
    expect(again.body).toMatchObject({ version: 1, created: false, digest: first.body.digest });
    expect((await get('/spending')).body.versions).toHaveLength(2);
    expect((await upload('other', CSV)).body).toMatchObject({ version: 1, created: true });
  });

  it('lists datasets and versions', async () => {
    expect((await get('')).body).toEqual({ datasets: [] });
    await upload('b', CSV);
    clock.advance(1000);
    await upload('a', CSV);
    await upload('b', CSV.replace('x,', 'z,'));
    const { body } = await get('');
    expect(body.datasets).toMatchObject([
      { name: 'a', versions: 1, latest_version: { version: 1, rows: 2 } },
      { name: 'b', versions: 2, created_at: NOW, updated_at: NOW + 1000, latest_version: { version: 2 } },
    ]);
    expect(body.datasets[0].latest_version.statistics).toBeUndefined();
    expect((await get('/b')).body.versions.map((each: { version: number }) => each.version)).toEqual([2, 1]);
    expect(await createDatasetStore(deps.database.reader).count()).toBe(2);
  });

  it('keeps two uploads at once to one name as two versions', async () => {
    const texts = Array.from({ length: 6 }, (_, index) => CSV.replace('x,', `customer ${index % 3},`));
    const answers = await Promise.all(texts.map((text) => upload('busy', text)));
    expect(answers.map(({ status }) => status)).toEqual(texts.map(() => 200));
    const versions = answers.map(({ body }) => body.version);
    expect(new Set(versions)).toEqual(new Set([1, 2, 3]));
    expect(answers.filter(({ body }) => body.created)).toHaveLength(3);
    for (const index of [0, 1, 2]) expect(versions[index]).toBe(versions[index + 3]);
  });

  it.each([
    ['an empty body', '', '', 400, 'table.csv: the file is empty'],
    ['a ragged row', 'a,b\n1,2\n3\n', '', 400, 'table.csv, line 3: 1 field where the header names 2'],
    ['an unknown id column', CSV, '&id=custmer', 400, 'did you mean "customer"?'],
    ['another format', CSV, '&format=parquet', 400, 'cannot be read as Parquet'],
    ['an archive', Buffer.from('PK\x03\x04'), '', 415, 'save the table as CSV'],
    ['too many bytes', `a\n${'1\n'.repeat(60_000)}`, '', 413, 'larger than'],
  ])('refuses %s and keeps nothing', async (_what, body, query, status, message) => {
    const answer = await upload('broken', body, `?filename=table.csv${query}`);
    expect(answer).toMatchObject({ status, body: { message: expect.stringContaining(message) } });
    expect((await get('/broken')).status).toBe(404);
    expect(readdirSync(tempFolder)).toEqual([]);
  });

  it('names what is not there', async () => {
    expect(await get('/none')).toMatchObject({ status: 404, body: { message: 'No dataset "none"' } });
    await upload('spending', CSV);
    expect(await get('/spending/versions/7')).toMatchObject({
      status: 404,
      body: { message: 'Dataset "spending" has no version 7; its newest is 1' },
    });
    expect((await get('/spending/versions/0')).status).toBe(400);
    expect((await addRows('none', [{}])).status).toBe(404);
    expect((await upload('../x', CSV)).status).toBe(400);
    expect((await upload('.hidden', CSV)).status).toBe(400);
    expect((await upload('données-été_2.v1', CSV)).status).toBe(200);
  });

  it('keeps text columns as text when told', async () => {
    const { body } = await upload('codes', 'code,n\n1,2\n3,4\n', '?filename=x.csv&text=code&text=n');
    expect(body.schema.map(({ type }: { type: string }) => type)).toEqual(['string', 'string']);
  });

  it('adds rows below those that are there, as a new version', async () => {
    await upload('spending', CSV, '?filename=may.csv&id=customer&time=month');
    clock.advance(5000);
    const { status, body } = await addRows('spending', [
      { customer: 'z', month: '2026-03-01T10:00:00.123456+02:00', spent: 2, vip: true },
      { vip: false, month: Date.UTC(2026, 3, 1), customer: 'it’s "q", ok\n', spent: null },
      { customer: '', month: '2026-04-01', vip: true },
    ]);
    expect(status).toBe(200);
    expect(body).toMatchObject({
      created: true,
      version: 2,
      rows: 5,
      source: { kind: 'rows', base_version: 1, added_rows: 3 },
      created_at: NOW + 5000,
      created_by: 'anonymous',
    });
    expect(body.schema[0]).toMatchObject({ name: 'customer', role: 'id' });
    const { rows } = await download('spending');
    expect(rows.slice(2)).toEqual([
      { customer: 'z', month: '2026-03-01T08:00:00.123Z', spent: 2, vip: true },
      { customer: 'it’s "q", ok\n', month: '2026-04-01T00:00:00.000Z', spent: null, vip: false },
      { customer: '', month: '2026-04-01T00:00:00.000Z', spent: null, vip: true },
    ]);
    expect((await download('spending', 1)).rows).toHaveLength(2);
    const whole = await upload(
      'same',
      `${CSV}z,2026-03-01T08:00:00.123456Z,2,true\n"it’s ""q"", ok\n",2026-04-01,,false\n"",2026-04-01,,true\n`,
      '?filename=may.csv&id=customer&time=month',
    );
    expect(whole.body.digest).toBe(body.digest);
  });

  it.each([
    [
      [
        { customer: 'z', month: '2026-03-01', vip: true },
        { customer: 1, month: '2026-03-01', vip: true },
      ],
      'Row 1: column "customer": 1 is not a text',
    ],
    [
      [{ customer: 'z', month: '2026-02-30', vip: true }],
      'Row 0: column "month": "2026-02-30" is not a date',
    ],
    [
      [{ customer: 'z', month: '2026-03-01', spent: '2', vip: true }],
      'Row 0: column "spent": "2" is not a number',
    ],
    [[{ customer: 'z', month: '2026-03-01', vip: 'yes' }], 'Row 0: column "vip": "yes" is not true or false'],
    [
      [{ customer: 'z', month: '2026-03-01', vip: true, spend: 2 }],
      'Row 0: no column "spend": did you mean "spent"?',
    ],
    [[{ customer: 'z', vip: true }], 'Row 0: column "month" is missing; give null for a missing value'],
    [[[1, 2]], 'Row 0: [1,2] is not an object'],
  ])('refuses the rows %j', async (rows, message) => {
    await upload('spending', CSV);
    expect(await addRows('spending', rows)).toMatchObject({
      status: 400,
      body: { error_code: 'INVALID_PARAMETER_VALUE', message: expect.stringContaining(message) },
    });
    expect((await get('/spending')).body.versions).toHaveLength(1);
  });

  it('adds every row of requests at the same time, here and on another server', async () => {
    await upload('busy', 'n\n0\n');
    const elsewhere = createVersionAdder(deps);
    const answers = await Promise.all([
      ...Array.from({ length: 3 }, (_, index) => addRows('busy', [{ n: index + 1 }])),
      ...Array.from({ length: 3 }, (_, index) =>
        elsewhere.append({ name: 'busy', rows: [{ n: index + 4 }], actor: 'bob' }),
      ),
    ]);
    expect(answers).toHaveLength(6);
    const { rows } = await download('busy');
    expect(new Set(rows.map((row) => row['n']))).toEqual(new Set([0, 1, 2, 3, 4, 5, 6]));
    expect(rows).toHaveLength(7);
    expect((await get('/busy')).body.versions).toHaveLength(7);
  });

  it('adds rows with the same key once', async () => {
    await upload('spending', 'n\n0\n');
    const first = await addRows('spending', [{ n: 1 }], 'order 17');
    const again = await addRows('spending', [{ n: 1 }], 'order 17');
    const both = await Promise.all([
      addRows('spending', [{ n: 2 }], 'order 18'),
      addRows('spending', [{ n: 2 }], 'order 18'),
    ]);
    expect(first.body).toMatchObject({ version: 2, created: true });
    expect(again.body).toMatchObject({ version: 2, created: false });
    expect(both.map(({ body }) => body.version)).toEqual([3, 3]);
    expect((await download('spending')).rows).toEqual([{ n: 0 }, { n: 1 }, { n: 2 }]);
  });

  it('works on tables in a process of its own, which tells errors and stops as this one would', async () => {
    const adder = createVersionAdder({ ...deps, runTableWork: runInChild });
    const add = (text: string, signal?: AbortSignal) =>
      adder.upload({ name: 'apart', body: Readable.from([text]), filename: 'n.csv', actor: 'ada', signal });
    expect(await add(CSV)).toMatchObject({ created: true, version: { version: 1, rows: 2 } });
    await expect(add('a,b\n1,2\n3\n')).rejects.toMatchObject({
      code: 'INVALID_PARAMETER_VALUE',
      message: 'n.csv, line 3: 1 field where the header names 2; write an empty field for a missing value',
      details: { line: 3 },
    });
    const row = { customer: 'z', month: '2026-03-01', vip: true };
    expect(await adder.append({ name: 'apart', rows: [row], actor: 'ada' })).toMatchObject({
      version: { version: 2, rows: 3 },
    });
    await expect(adder.append({ name: 'apart', rows: [{}], actor: 'ada' })).rejects.toThrow(
      'Row 0: column "customer"',
    );
    const missing = { path: '/nowhere/x', outPath: '/nowhere/y' };
    const enough = AbortSignal.abort(new Error('enough'));
    await expect(runInChild({ kind: 'ingest', request: missing }, enough)).rejects.toThrow('enough');
    const controller = new AbortController();
    const stopped = runInChild({ kind: 'ingest', request: missing }, controller.signal);
    controller.abort(new Error('stop now'));
    await expect(stopped).rejects.toThrow('stop now');
  });

  it('refuses a table more than it can keep waiting', async () => {
    const adder = createVersionAdder(deps);
    const works = Array.from({ length: 40 }, (_, index) =>
      adder
        .upload({ name: 'many', body: Readable.from([`n\n${index}\n`]), filename: 'n.csv', actor: 'ada' })
        .then(() => 'kept')
        .catch((error: { code: string }) => error.code),
    );
    const answers = await Promise.all(works);
    expect(new Set(answers)).toEqual(new Set(['kept', 'TEMPORARILY_UNAVAILABLE']));
    expect((await get('/many')).body.versions.length).toBe(
      answers.filter((answer) => answer === 'kept').length,
    );
  });

  it('refuses additions to a dataset for which too many wait', async () => {
    await upload('many', 'n\n0\n');
    const first = Promise.withResolvers<void>();
    const adder = createVersionAdder({
      ...deps,
      runTableWork: async (work, signal) => {
        await first.promise;
        return runHere(work, signal);
      },
    });
    const controller = new AbortController();
    const works = Array.from({ length: 34 }, (_, n) =>
      adder
        .append({
          name: 'many',
          rows: [{ n }],
          actor: 'ada',
          signal: n === 0 ? undefined : controller.signal,
        })
        .then(() => 'added')
        .catch((error: { code: string; message: string }) => error.code ?? error.message),
    );
    expect(await works[33]).toBe('TEMPORARILY_UNAVAILABLE');
    controller.abort(new Error('enough'));
    first.resolve();
    expect(await Promise.all(works.slice(0, 33))).toEqual(['added', ...Array(32).fill('enough')]);
    expect((await get('/many')).body.versions).toHaveLength(2);
  });

  it.each([
    ['the client goes away', 'upload'],
    ['the client goes away', 'rows'],
    ['the server stops', 'upload'],
    ['the server stops', 'rows'],
  ])('ends the work on a table when %s (%s)', async (why, what) => {
    const database = await openDatabase();
    const begun = Promise.withResolvers<AbortSignal>();
    const server = createApp({
      name: 't',
      version: '0',
      logger: silentLogger,
      metrics: createMetrics(),
      clock,
    });
    let isFirst = what === 'rows';
    const runTableWork: typeof runHere = (work, signal) => {
      if (isFirst) {
        isFirst = false;
        return runHere(work, signal);
      }
      begun.resolve(signal!);
      return new Promise((_, reject) =>
        signal!.addEventListener('abort', () => reject(signal!.reason as Error)),
      );
    };
    await server.register(datasetRoutes({ ...deps, database, runTableWork }));
    const origin = await server.listen({ host: '127.0.0.1', port: 0 });
    const post = (path: string, body: string, type: string, signal?: AbortSignal) =>
      fetch(`${origin}/api/v1/datasets/t/${path}`, {
        method: 'POST',
        headers: { 'content-type': type },
        body,
        signal,
      });
    const sendCsv = (signal?: AbortSignal) => post('versions?filename=t.csv', 'n\n1\n', 'text/csv', signal);
    if (what === 'rows') expect((await sendCsv()).status).toBe(200);
    const client = new AbortController();
    const answer =
      what === 'rows'
        ? post('rows', JSON.stringify({ rows: [{ n: 2 }] }), 'application/json', client.signal)
        : sendCsv(client.signal);
    const outcome = answer.then(
      ({ status }) => status,
      () => 'no answer',
    );
    const signal = await begun.promise;
    expect(signal.aborted).toBe(false);
    const aborted = new Promise((resolve) => signal.addEventListener('abort', resolve));
    let stopped: Promise<void> | undefined;
    if (why === 'the server stops') stopped = stopGracefully(server);
    else client.abort();
    await aborted;
    expect(await outcome).toBe(stopped ? 503 : 'no answer');
    await (stopped ?? stopGracefully(server));
    await database.close();
  });
});
