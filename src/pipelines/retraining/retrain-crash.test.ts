import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, inject, it } from 'vitest';
import { createPostgresDatabase, silentLogger, tempDir } from '../../../tests/support/index.ts';
import { createDatasetStore, ingestFile } from '../../datasets/index.ts';
import type { CrashPoint, JobStep } from '../../jobs/index.ts';
import { createAuditStore, createRandom, openDatabase } from '../../platform/index.ts';
import { createModelVersionStore } from '../../registry/index.ts';
import { createRunStore } from '../../tracking/index.ts';
import type { RetrainResult } from './retrain-flow.ts';

const script = fileURLToPath(new URL('../../../tests/support/retrain-until-killed.ts', import.meta.url));
const STEPS = ['ingest', 'validate', 'features', 'train', 'evaluate', 'register', 'deliver'];
const POINTS: CrashPoint[] = ['before-effect', 'after-effect', 'after-record'];

/** Rows of ten days whose target follows from `a`; the log's carry their time beside the columns. */
function rowsOf(firstDay: number, { logged }: { logged: boolean }): string {
  const random = createRandom(firstDay);
  const lines = [logged ? 'a,b,y,__time' : 'at,a,b,y'];
  for (let row = 0; row < 400; row++) {
    const ms = Date.UTC(2026, 0, firstDay) + row * 2_160_000;
    const a = random() * 4 - 2;
    const cells = [a.toFixed(3), row % 3 === 0 ? 'red' : 'blue', a + random() - 0.5 > 0 ? 'yes' : 'no'];
    lines.push((logged ? [...cells, ms] : [new Date(ms).toISOString(), ...cells]).join(','));
  }
  return `${lines.join('\n')}\n`;
}

async function makeFolder(): Promise<string> {
  const folder = tempDir();
  writeFileSync(join(folder, 'rows.csv'), rowsOf(1, { logged: false }));
  writeFileSync(join(folder, 'labelled.csv'), rowsOf(11, { logged: true }));
  await ingestFile({ path: join(folder, 'labelled.csv'), outPath: join(folder, 'labelled.parquet') });
  const project = {
    models: {
      m: {
        data: { path: 'rows.csv', target: 'y', time: 'at', ignore: ['at'] },
        features: { twice: 'a * 2' },
        train: { algorithm: 'gradient-boosting', trees: 8 },
        gate: { evaluate: '5d', nonInferiority: 0.2 },
        retrain: { window: '15d' },
      },
    },
  };
  writeFileSync(join(folder, 'tidemill.config.json'), JSON.stringify(project));
  return folder;
}

async function work(url: string, folder: string, point = '', step = '') {
  const child = spawn(process.execPath, [script, url, folder, point, step], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let printed = '';
  child.stdout.on('data', (bytes: Buffer) => {
    printed += bytes.toString();
  });
  const signal = await new Promise<string | null>((resolve) => child.once('close', (_, by) => resolve(by)));
  return { signal, printed };
}

// The engine's own test kills on both databases at every point; here PostgreSQL has the one that could act twice.
const kinds = [
  ['sqlite', POINTS, false],
  ['postgres', ['after-effect' as CrashPoint], 'problem' in inject('postgresServer')],
] as const;

describe.each(kinds)('a retraining whose process is killed (%s)', (dialect, points, isMissing) => {
  // Most of a killed process's time is waited: for its start, and for the lease of the one before.
  it.skipIf(isMissing).each(points)(
    'has each effect once (%s of every step)',
    { timeout: 900_000, concurrent: true },
    async (point) => {
      const folder = await makeFolder();
      const { url, drop } =
        dialect === 'sqlite'
          ? { url: `sqlite:${join(folder, 'tidemill.db')}`, drop: async () => {} }
          : await createPostgresDatabase();
      for (const step of STEPS) {
        expect(await work(url, folder, point, step)).toEqual({ signal: 'SIGKILL', printed: '' });
      }
      const { signal, printed } = await work(url, folder);
      expect(signal).toBeNull();
      const { status, output, error, steps } = JSON.parse(printed) as {
        status: string;
        output: RetrainResult;
        error?: unknown;
        steps: JobStep[];
      };
      expect({ status, error }).toEqual({ status: 'succeeded' });
      expect(output).toMatchObject({ outcome: 'promoted', version: 2, rows: 600 });
      expect(steps.map(({ step }) => step)).toEqual(STEPS);

      const database = await openDatabase({
        url,
        commandsModule: new URL('../../commands.ts', import.meta.url),
        logger: silentLogger,
        threads: false,
      });
      const { reader } = database;
      expect((await createModelVersionStore(reader).list('m')).map(({ version }) => version)).toEqual([1, 2]);
      expect(await createRunStore(reader).count()).toBe(2);
      expect(await createDatasetStore(reader).listVersions('m.training')).toHaveLength(2);
      const audit = await createAuditStore(reader).list({ subject: 'models/m' });
      expect(audit.filter(({ action }) => action === 'champion.promote')).toHaveLength(2);
      expect(await createAuditStore(reader).verify()).toMatchObject({ ok: true });
      await database.close();
      await drop();
    },
  );
});
