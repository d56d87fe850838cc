import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createDesiredSource } from '../../../tests/support/desired-source.ts';
import { tempDir } from '../../../tests/support/index.ts';
import { serveLogSink } from '../../../tests/support/serve-log-sink.ts';
import { irisModel, SETOSA_ROW, withProfile } from '../../../tests/support/served-models.ts';
import { decodeProfile } from '../../profiles/index.ts';

const ROUNDS = 6;
const ANSWERS_OF_A_ROUND = 300;
const GARDENS = ['north', 'south', 'a=b'];
const entry = new URL('../../model-server-process.ts', import.meta.url);

describe('kill -9 of a model server', () => {
  it('loses no answered prediction and no acknowledged label, and its profiles count every line once', async () => {
    const { bytes, spec } = await withProfile(irisModel(), [SETOSA_ROW]);
    const champion = createDesiredSource().version('1', bytes);
    const sink = await serveLogSink(
      { revision: 'r1', models: [{ name: 'iris', champion, segments: ['garden'] }], not_servable: [] },
      () => bytes,
    );
    onTestFinished(() => sink.close());
    const cacheDir = tempDir();
    const acknowledged = { predictions: new Set<string>(), labels: new Set<string>() };

    async function start(): Promise<{ child: ChildProcess; url: string }> {
      const env = { ...process.env, TIDEMILL_REPORT_MS: '20', TIDEMILL_LOG_LEVEL: 'error' };
      const child = fork(entry, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], env });
      onTestFinished(() => void child.kill('SIGKILL'));
      const ready = new Promise<string>((resolve, reject) => {
        let url = '';
        child.on('message', (message: { type: string; url?: string; message?: string }) => {
          if (message.type === 'listening') url = message.url ?? '';
          if (message.type === 'ready') resolve(url);
          if (message.type === 'failed') reject(new Error(message.message));
        });
      });
      const options = { controlPlaneUrl: sink.url, cacheDir, host: '127.0.0.1', port: 0, version: '1.0.0' };
      child.send({ type: 'start', options });
      return { child, url: await ready };
    }

    async function post(url: string, body: unknown): Promise<any> {
      const init = {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      };
      const response = await fetch(url, init);
      if (response.status !== 200) throw new Error(await response.text());
      return response.json();
    }

    /** Asks and labels until the server is gone. */
    async function load(url: string, onAnswer: () => void): Promise<void> {
      for (;;) {
        const timestamp = Date.UTC(2001, 3, 1) + Math.floor(Math.random() * 4) * 3_600_000;
        const features = { ...SETOSA_ROW, garden: GARDENS[Math.floor(Math.random() * GARDENS.length)] };
        const answer = await post(`${url}/predict`, { features, timestamp }).catch(() => undefined);
        if (answer === undefined) return;
        acknowledged.predictions.add(answer.prediction_id);
        onAnswer();
        if (Math.random() < 0.7) continue;
        const label = { prediction_id: answer.prediction_id, label: 'setosa' };
        const taken = await post(`${url}/models/iris/feedback`, [label]).catch(() => undefined);
        if (taken === undefined) return;
        acknowledged.labels.add(answer.prediction_id);
      }
    }

    for (let round = 0; round < ROUNDS; round++) {
      const { child, url } = await start();
      let answers = 0;
      const enough = Promise.withResolvers<void>();
      const most = 1 + Math.floor(Math.random() * ANSWERS_OF_A_ROUND);
      const clients = Array.from({ length: 8 }, () =>
        load(url, () => {
          answers += 1;
          if (answers >= most) enough.resolve();
        }),
      );
      await enough.promise;
      child.kill('SIGKILL');
      await Promise.all([once(child, 'exit'), ...clients]);
    }

    const last = await start();
    const log = join(cacheDir, 'log');
    // Everything of the dead is shipped and counted when only the living one's folder is left.
    await vi.waitFor(
      () => expect(readdirSync(log), JSON.stringify(readdirSync(log, { recursive: true }))).toHaveLength(2),
      { timeout: 30_000, interval: 20 },
    );
    last.child.send({ type: 'stop' });
    await once(last.child, 'exit');
    expect(readdirSync(log)).toEqual(['replica']);

    const predictions = sink.predictions();
    const ids = predictions.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect([...acknowledged.predictions].filter((id) => !ids.includes(id))).toEqual([]);
    const labelled = new Set(sink.feedback().map(({ id }) => id));
    expect([...acknowledged.labels].filter((id) => !labelled.has(id))).toEqual([]);
    expect(acknowledged.labels.size).toBeGreaterThan(0);

    const told = sink.entries();
    const entries = told.filter(({ segment }) => segment === '');
    expect(entries.reduce((sum, { answered }) => sum + answered, 0)).toBe(ids.length);
    const counted = entries.reduce((sum, { profile }) => sum + decodeProfile(spec, profile ?? '').rows, 0);
    expect(counted).toBe(ids.length);
    for (const hour of new Set(predictions.map(({ t }) => t))) {
      const lines = predictions.filter(({ t }) => t === hour).length;
      const sum = entries.filter((one) => one.hour === hour).reduce((all, { answered }) => all + answered, 0);
      expect(sum).toBe(lines);
    }
    for (const garden of GARDENS) {
      const lines = predictions.filter(({ f }) => f['garden'] === garden).length;
      const ofGarden = told.filter(({ segment }) => segment === `garden=${garden}`);
      expect(ofGarden.reduce((sum, { answered }) => sum + answered, 0)).toBe(lines);
      const rows = ofGarden.map(({ profile }) => decodeProfile(spec, profile ?? '').rows);
      expect(rows.reduce((sum, one) => sum + one, 0)).toBe(lines);
    }
    expect(sink.problems).toEqual([]);
  });
});
