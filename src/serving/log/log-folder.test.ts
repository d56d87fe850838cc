import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { silentLogger, tempDir } from '../../../tests/support/index.ts';
import { createLogSink } from '../../../tests/support/log-sink.ts';
import { irisModel, SETOSA_ROW, withProfile } from '../../../tests/support/served-models.ts';
import { startTestModelServer } from '../../../tests/support/test-model-server.ts';
import { decodeProfile } from '../../profiles/index.ts';
import { openLogFolder } from './log-folder.ts';
import { recoverProfiles } from './profiles/recover-profiles.ts';

describe('the folder of the log', () => {
  it('keeps the id of the replica, and cuts what a dead process left after its last whole line', async () => {
    const root = tempDir();
    const first = await openLogFolder(root, 'one', silentLogger);
    writeFileSync(join(first.folder, 'predictions-0000000000.ndjson'), '{"a":1}\n{"b":2}\n{"c":');
    writeFileSync(join(first.folder, 'predictions-0000000001.ndjson'), '{"unfinished":');
    writeFileSync(join(first.folder, 'feedback-0000000000.ndjson'), `{"x":"${'y'.repeat(200_000)}"}\n{"t`);
    first.release();
    const second = await openLogFolder(root, 'two', silentLogger);
    expect(second.reporter).toEqual({ replica: first.reporter.replica, incarnation: 'two' });
    expect(second.leftOvers).toHaveLength(1);
    const [leftOver] = second.leftOvers;
    expect(leftOver?.reporter).toEqual(first.reporter);
    expect(leftOver?.segments).toMatchObject([
      { kind: 'predictions', sequence: 0, bytes: 16 },
      { kind: 'feedback', sequence: 0, bytes: 200_009 },
    ]);
    expect(readFileSync(leftOver!.segments[0]!.path, 'utf8')).toBe('{"a":1}\n{"b":2}\n');
    expect(readdirSync(first.folder)).not.toContain('predictions-0000000001.ndjson');
  });

  it('leaves the folder of another living server alone, in this process or another', async () => {
    const root = tempDir();
    const first = await openLogFolder(root, 'one', silentLogger);
    const module = new URL('./log-folder.ts', import.meta.url).href;
    const script = `const { openLogFolder } = await import(${JSON.stringify(module)});
      const opened = await openLogFolder(${JSON.stringify(root)}, 'two', { warn() {} });
      console.log(JSON.stringify(opened.leftOvers));
      process.stdin.resume();`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const [said] = (await once(child.stdout, 'data')) as [Buffer];
    // The other process sees this one alive.
    expect(JSON.parse(said.toString())).toEqual([]);
    const third = await openLogFolder(root, 'three', silentLogger);
    expect(third.leftOvers).toEqual([]);
    child.kill('SIGKILL');
    await once(child, 'exit');
    first.release();
    const fourth = await openLogFolder(root, 'four', silentLogger);
    expect(fourth.leftOvers.map(({ reporter }) => reporter.incarnation)).toEqual(['one', 'two']);
  });

  it('does not take the process that has the same id by now for the one that wrote', async () => {
    const root = tempDir();
    mkdirSync(join(root, 'old'));
    writeFileSync(
      join(root, 'old', 'owner.json'),
      JSON.stringify({ pid: process.ppid, started: 'another boot 1' }),
    );
    const { leftOvers } = await openLogFolder(root, 'new', silentLogger);
    expect(leftOvers.map(({ reporter }) => reporter.incarnation)).toEqual(['old']);
  });
});

describe('a folder that several servers share', () => {
  /** A folder that a dead process left, with one segment. */
  function leaveDead(root: string, name: string): string {
    const folder = join(root, name);
    mkdirSync(folder, { recursive: true });
    writeFileSync(
      join(folder, 'owner.json'),
      JSON.stringify({ pid: process.ppid, started: 'another boot 1' }),
    );
    writeFileSync(join(folder, 'predictions-0000000000.ndjson'), '{"a":1}\n');
    return folder;
  }

  it('has one id, and each left-over goes to one of the servers that start at once', async () => {
    const root = tempDir();
    const dead = ['a', 'b', 'c', 'd', 'e', 'f'];
    for (const name of dead) leaveDead(root, name);
    const module = new URL('./log-folder.ts', import.meta.url).href;
    const script = `const { openLogFolder } = await import(${JSON.stringify(module)});
      console.log('up');
      process.stdin.once('data', async () => {
        const opened = await Promise.all([1, 2].map((i) =>
          openLogFolder(${JSON.stringify(root)}, 'new-' + process.pid + '-' + i, { warn() {} })));
        console.log(JSON.stringify(opened.map(({ reporter, leftOvers }) =>
          ({ replica: reporter.replica, taken: leftOvers.map(({ reporter }) => reporter.incarnation) }))));
      });`;
    const children = [0, 1, 2].map(() =>
      spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: ['pipe', 'pipe', 'inherit'] }),
    );
    onTestFinished(() => {
      for (const child of children) child.kill('SIGKILL');
    });
    await Promise.all(children.map(({ stdout }) => once(stdout, 'data')));
    const opened = await Promise.all(
      children.map(async ({ stdin, stdout }) => {
        stdin.write('go');
        const [said] = (await once(stdout, 'data')) as [Buffer];
        return JSON.parse(said.toString()) as { replica: string; taken: string[] }[];
      }),
    );
    expect(new Set(opened.flat().map(({ replica }) => replica)).size).toBe(1);
    expect(
      opened
        .flat()
        .flatMap(({ taken }) => taken)
        .toSorted(),
    ).toEqual(dead);
    // Whoever took them over is dead too: the next one takes them, with what they left themselves.
    await Promise.all(
      children.map((child) => {
        child.kill('SIGKILL');
        return once(child, 'exit');
      }),
    );
    const { leftOvers } = await openLogFolder(root, 'last', silentLogger);
    expect(leftOvers).toHaveLength(dead.length + 6);
    expect(leftOvers.flatMap(({ segments }) => segments)).toHaveLength(dead.length);
  });

  it('opens while what dead ones left is completed and removed by another', async () => {
    const root = tempDir();
    for (let round = 0; round < 20; round++) {
      const folders = Array.from({ length: 8 }, (_, i) => leaveDead(root, `dead-${round}-${i}`));
      const [opened] = await Promise.all([
        openLogFolder(root, `new-${round}`, silentLogger),
        ...folders.map((folder) => rm(folder, { recursive: true, force: true, maxRetries: 5 })),
      ]);
      expect(opened.reporter.incarnation).toBe(`new-${round}`);
      await recoverProfiles({
        leftOvers: opened.leftOvers,
        reportProfiles: () => Promise.resolve(),
        findVersion: () => undefined,
        logger: silentLogger,
        onRefused() {},
      });
      opened.release();
      for (const name of readdirSync(root)) {
        if (name !== 'replica') rmSync(join(root, name), { recursive: true, force: true });
      }
    }
  });
});

const noSpace = () => Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });

describe('a full disk at the start', () => {
  it('is served without a log, what is left over is shipped, and what comes when there is room is logged', async () => {
    const { bytes } = await withProfile(irisModel(), [SETOSA_ROW]);
    const before = await startTestModelServer();
    before.source.desire([{ name: 'iris', champion: before.source.version('3', bytes) }]);
    await before.ready;
    await before.post('/predict', { features: SETOSA_ROW });
    const log = join(before.cacheDir, 'log');
    const cacheDir = tempDir();
    cpSync(before.cacheDir, cacheDir, { recursive: true });
    let isFull = true;
    const sink = createLogSink();
    const server = await startTestModelServer({
      ...sink,
      source: before.source,
      cacheDir,
      reportMs: 10,
      logFolder: {
        retryMs: 5,
        writeOwner: (path, text) => (isFull ? Promise.reject(noSpace()) : writeFile(path, text)),
      },
    });
    await server.ready;
    expect(server.log.find(({ msg }) => /disk is full: predictions are answered/.test(msg))).toMatchObject({
      level: 'warn',
    });
    expect((await server.post('/predict', { features: SETOSA_ROW })).status).toBe(200);
    const refused = await server.post('/models/iris/feedback', { prediction_id: 'x', label: 'setosa' });
    expect(refused.body).toMatchObject({ error_code: 'TEMPORARILY_UNAVAILABLE' });
    expect(refused.body.message).toContain('no room');
    await sink.until(() => expect(sink.predictions()).toHaveLength(1));
    await sink.until(() => expect(sink.reports().some(({ report }) => report.dropped === 1)).toBe(true));
    const [dead = ''] = readdirSync(log).filter((name) => name !== 'replica');
    await sink.until(() => expect(readdirSync(join(cacheDir, 'log'))).toEqual(['replica']));
    expect(sink.entries().find(({ incarnation }) => incarnation === dead)?.answered).toBe(1);
    isFull = false;
    await sink.until(() => expect(readdirSync(join(cacheDir, 'log'))).toHaveLength(2));
    await sink.until(() =>
      expect(server.log.some(({ msg }) => msg === 'there is room for the log')).toBe(true),
    );
    await server.post('/predict', { features: SETOSA_ROW });
    await sink.until(() => expect(sink.predictions()).toHaveLength(2));
    const replicas = new Set(sink.reports().map(({ replica }) => replica));
    expect([...replicas]).toEqual([readFileSync(join(log, 'replica'), 'utf8').trim()]);
  });

  it('leaves what a living server owns alone, and no draft of a folder behind', async () => {
    const root = tempDir();
    const first = await openLogFolder(root, 'one', silentLogger);
    const options = { writeOwner: () => Promise.reject(noSpace()) };
    const second = await openLogFolder(root, 'two', silentLogger, options);
    expect([second.isThere, second.leftOvers]).toEqual([false, []]);
    expect(readdirSync(root).toSorted()).toEqual(['one', 'replica']);
    first.release();
    second.release();
    await expect(
      openLogFolder(root, 'three', silentLogger, { writeOwner: () => Promise.reject(new Error('EACCES')) }),
    ).rejects.toThrow('EACCES');
  });
});

describe('what a dead process left', () => {
  /** The log of a server that answered three rows and never shipped, as its death at this moment leaves it. */
  async function dieAfterThree() {
    const { bytes, spec } = await withProfile(irisModel(), [SETOSA_ROW]);
    const server = await startTestModelServer();
    const champion = server.source.version('3', bytes);
    server.source.desire([{ name: 'iris', champion }]);
    await server.ready;
    const features = { ...SETOSA_ROW, 'petal width (cm)': 0.3 };
    for (let hour = 0; hour < 3; hour++) {
      await server.post('/predict', { features, timestamp: Date.UTC(2001, 3, 1, hour >> 1) });
    }
    const cacheDir = tempDir();
    cpSync(join(server.cacheDir, 'log'), join(cacheDir, 'log'), { recursive: true });
    return { cacheDir, bytes, spec, source: server.source };
  }

  it('is counted again by its model, under its own name', async () => {
    const { cacheDir, spec, source } = await dieAfterThree();
    const [incarnation = ''] = readdirSync(join(cacheDir, 'log')).filter((name) => name !== 'replica');
    appendFileSync(join(cacheDir, 'log', incarnation, 'predictions-0000000000.ndjson'), '{"id":"torn');
    const sink = createLogSink();
    const server = await startTestModelServer({ ...sink, source, cacheDir, reportMs: 10 });
    await sink.until(() => expect(sink.entries()).toHaveLength(2));
    expect(sink.predictions()).toHaveLength(3);
    const entries = sink.entries().sort((a, b) => a.hour - b.hour);
    expect(entries).toMatchObject([
      { incarnation, hour: Date.UTC(2001, 3, 1), answered: 2, version: '3', variant: 'champion', part: 0 },
      { incarnation, hour: Date.UTC(2001, 3, 1, 1), answered: 1 },
    ]);
    const profile = decodeProfile(spec, entries[0]?.profile ?? '');
    expect(profile.rows).toBe(2);
    expect(profile.columns[3]).toMatchObject({ count: 2, mean: expect.closeTo(0.3, 5) });
    expect(profile.columns[spec.columns.findIndex(({ name }) => name === '@class')]?.bins[0]).toBe(2);
    expect(entries[0]?.latency.reduce((sum, count) => sum + count)).toBeGreaterThan(0);
    await sink.until(() => expect(readdirSync(join(cacheDir, 'log'))).not.toContain(incarnation));
    await server.stop();
    expect(sink.entries()).toHaveLength(2);
  });

  it('is counted, told and removed also while the disk has no room to keep the counts', async () => {
    const { cacheDir } = await dieAfterThree();
    const root = join(cacheDir, 'log');
    const opened = await openLogFolder(root, 'next', silentLogger);
    const sink = createLogSink();
    sink.goAway();
    const recovery = await recoverProfiles({
      leftOvers: opened.leftOvers,
      reportProfiles: sink.reportProfiles,
      findVersion: () => undefined,
      logger: silentLogger,
      onRefused() {},
      retryMs: 5,
      writeSnapshot: () => Promise.reject(noSpace()),
    });
    const [left] = opened.leftOvers;
    left?.segments.splice(0);
    recovery.onSettled();
    expect(readdirSync(join(left?.folder ?? '', 'replay'))).toHaveLength(1);
    sink.comeBack();
    await sink.until(() => expect(readdirSync(root).toSorted()).toEqual(['next', 'replica']));
    await recovery.stop();
    expect(sink.entries().reduce((sum, { answered }) => sum + answered, 0)).toBe(3);
  });

  it('tells the newest event time that it shipped and could not report any more', async () => {
    const { bytes } = await withProfile(irisModel(), [SETOSA_ROW]);
    const sink = createLogSink();
    const dying = await startTestModelServer({
      ...sink,
      reportProfiles: () => Promise.reject(new Error('it dies before it can tell')),
      reportMs: 10,
    });
    dying.source.desire([{ name: 'iris', champion: dying.source.version('3', bytes) }]);
    await dying.ready;
    const timestamp = Date.UTC(2001, 3, 1, 5, 30);
    await dying.post('/predict', { features: SETOSA_ROW, timestamp });
    const log = join(dying.cacheDir, 'log');
    const isShipped = () =>
      readdirSync(log, { recursive: true }).every((name) => !String(name).endsWith('.ndjson'));
    await sink.until(() => expect(sink.predictions().length === 1 && isShipped()).toBe(true));
    const cacheDir = tempDir();
    cpSync(log, join(cacheDir, 'log'), { recursive: true });
    await startTestModelServer({ ...sink, source: dying.source, cacheDir, reportMs: 10 });
    await sink.until(() => expect(sink.reports().map(({ report }) => report.watermark)).toContain(timestamp));
  });

  it('is counted once, also when the process that counted it again died before it could tell', async () => {
    const { cacheDir, source } = await dieAfterThree();
    const log = join(cacheDir, 'log');
    const [incarnation = ''] = readdirSync(log).filter((name) => name !== 'replica');
    const segment = join(log, incarnation, 'predictions-0000000000.ndjson');
    const before = readFileSync(segment);
    const sink = createLogSink();
    sink.goAway();
    const second = await startTestModelServer({ ...sink, source, cacheDir, reportMs: 10 });
    const snapshot = join(log, incarnation, 'snapshot.json');
    await sink.until(() => expect(JSON.parse(readFileSync(snapshot, 'utf8')).entries).toHaveLength(2));
    await second.stop();
    // As if it had died before it removed what it had counted.
    mkdirSync(join(log, incarnation, 'replay'), { recursive: true });
    writeFileSync(join(log, incarnation, 'replay', 'predictions-0000000000.ndjson'), before);
    sink.comeBack();
    await startTestModelServer({ ...sink, source, cacheDir, reportMs: 10 });
    await sink.until(() => expect(readdirSync(log)).not.toContain(incarnation));
    expect(sink.predictions()).toHaveLength(3);
    const counts = sink.entries().filter((entry) => entry.incarnation === incarnation);
    expect(counts.map(({ answered }) => answered).sort((a, b) => a - b)).toEqual([1, 2]);
  });

  it('is done with when the control plane refuses its report for good', async () => {
    const { cacheDir, source } = await dieAfterThree();
    const log = join(cacheDir, 'log');
    const [incarnation = ''] = readdirSync(log).filter((name) => name !== 'replica');
    const sink = createLogSink();
    sink.refused.add('profiles');
    const server = await startTestModelServer({ ...sink, source, cacheDir, reportMs: 10 });
    await sink.until(() => expect(readdirSync(log)).not.toContain(incarnation));
    expect(sink.predictions()).toHaveLength(3);
    expect(server.log.find(({ msg }) => /earlier process was refused/.test(msg))).toMatchObject({
      incarnation,
    });
  });

  it('is counted beside what was reported when a power cut left no whole snapshot', async () => {
    const { cacheDir, source } = await dieAfterThree();
    const [incarnation = ''] = readdirSync(join(cacheDir, 'log')).filter((name) => name !== 'replica');
    writeFileSync(join(cacheDir, 'log', incarnation, 'snapshot.json'), '');
    const sink = createLogSink();
    await startTestModelServer({ ...sink, source, cacheDir, reportMs: 10 });
    await sink.until(() => expect(sink.entries()).toHaveLength(2));
    expect(sink.predictions()).toHaveLength(3);
    for (const { part } of sink.entries()) expect(part).toBeGreaterThan(0);
  });

  it('is counted without its columns when the model is not served any more, and the log says so', async () => {
    const { cacheDir, bytes, source } = await dieAfterThree();
    source.desire([{ name: 'iris', champion: source.version('4', Buffer.from(bytes)) }]);
    const sink = createLogSink();
    const server = await startTestModelServer({ ...sink, source, cacheDir, reportMs: 10 });
    await sink.until(() => expect(sink.entries()).toHaveLength(2));
    expect(sink.entries().map(({ answered, profile }) => [answered, profile])).toEqual([
      [2, undefined],
      [1, undefined],
    ]);
    expect(server.log.find(({ msg }) => /not loaded any more/.test(msg))).toMatchObject({
      version: 'iris/3',
      rows: 3,
    });
  });
});
