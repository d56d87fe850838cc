import { spawn } from 'node:child_process';
import { copyFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, inject, it } from 'vitest';
import {
  createPostgresDatabase,
  fixedClock,
  openTestDatabase,
  silentLogger,
  tempDir,
} from '../../../tests/support/index.ts';
import { createLogFixture, labelLine, predictionLine, range } from '../../../tests/support/log-fixture.ts';
import { createLocalArtifactStore } from '../../artifacts/index.ts';
import { openDatabase } from '../../platform/index.ts';
import type { FilingStep } from './filing/file-segments.ts';
import { createPredictionLog } from './prediction-log.ts';
import { createLogStore } from './store/log-store.ts';

const CHILD = fileURLToPath(new URL('../../../tests/support/file-segments-until-killed.ts', import.meta.url));
const commandsModule = new URL('../../commands.ts', import.meta.url);

/** Runs the process until it has killed itself; gives the segments that it said were taken. */
async function runUntilKilled(args: string[]): Promise<number[]> {
  const child = spawn(process.execPath, [CHILD, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const limit = setTimeout(() => child.kill('SIGTERM'), 50_000);
  const taken: number[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => taken.push(Number(line)));
  const signal = await new Promise((resolve) => child.once('close', (_code, killedBy) => resolve(killedBy)));
  clearTimeout(limit);
  expect(signal).toBe('SIGKILL');
  return taken;
}

const STEPS: FilingStep[] = ['planned', 'written', 'stored', 'committed', 'collected'];

describe.each(['sqlite', 'postgres'] as const)('a server that is killed while it files (%s)', (dialect) => {
  const isSkipped = dialect === 'postgres' && 'problem' in inject('postgresServer');

  it.skipIf(isSkipped)(
    'has lost no row and doubled none, whatever step it was at',
    async () => {
      const folder = tempDir();
      const { url, drop } = await newDatabase(dialect, folder);
      const taken: number[] = [];
      for (const [index, step] of STEPS.entries()) {
        // The garbage of the process before is collected at the start.
        const at = step === 'collected' ? 2 : 1 + (index % 2);
        const first = (taken.at(-1) ?? -1) + 100;
        const acknowledged = await runUntilKilled([folder, url, step, String(at), String(first)]);
        expect(acknowledged.length).toBeGreaterThan(0);
        taken.push(...acknowledged);
      }
      const database = await openDatabase({ url, commandsModule, logger: silentLogger, threads: false });
      const log = createPredictionLog({
        database,
        artifacts: createLocalArtifactStore({ root: join(folder, 'artifacts') }),
        clock: fixedClock(),
        logger: silentLogger,
        workFolder: join(folder, 'log'),
        modelOf: async () => undefined,
        retentionMs: 0,
        graceMs: -1,
      });
      const look = () =>
        log.query(
          `select sequence::INTEGER, count(*), count(distinct prediction_id) from flights group by 1 order by 1`,
        );
      const before = (await look()).rows;
      // A segment may be kept whose taking was not told any more; every one that was told is there, once.
      const found = new Map(before.map(([sequence, ...counts]) => [sequence as number, counts]));
      for (const sequence of taken) expect([sequence, found.get(sequence)]).toEqual([sequence, [10, 10]]);
      expect([...found.values()].every(([rows, ids]) => rows === 10 && ids === 10)).toBe(true);
      await log.compact();
      expect((await look()).rows).toEqual(before);
      const store = createLogStore(database.reader);
      const files = await store.files();
      const names = readdirSync(join(folder, 'artifacts', 'refs'), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name));
      // On PostgreSQL another server may be at work, so what a dead one has left stays for an hour.
      if (dialect === 'sqlite') expect(names).toHaveLength(files.length);
      await log.close();
      await database.close();
      await drop();
    },
    120_000,
  );
});

async function newDatabase(dialect: 'sqlite' | 'postgres', folder: string) {
  if (dialect === 'postgres') {
    const server = inject('postgresServer');
    return createPostgresDatabase('problem' in server ? undefined : server.template);
  }
  const template = inject('sqliteTemplate');
  if ('problem' in template) throw new Error(template.problem);
  copyFileSync(template.path, join(folder, 'tidemill.db'));
  return { url: `sqlite:${join(folder, 'tidemill.db')}`, drop: async () => {} };
}

describe('the process of the log', () => {
  it('is started again when it is killed, and answers as if nothing had happened', async () => {
    const { ship, select, log } = createLogFixture(await openTestDatabase('sqlite'));
    let sent = 0;
    for (let round = 0; round < 6; round++) {
      await ship(
        'predictions',
        range(sent, sent + 50).map((i) => predictionLine(i)),
      );
      await ship('feedback', [labelLine(sent, true)]);
      sent += 50;
      if (round % 3 === 1) await log.compact();
      const pid = log.processId();
      const asked = select('select count(*), count(distinct prediction_id), count(label) from flights');
      if (pid !== undefined) process.kill(pid, 'SIGKILL');
      expect(await asked).toEqual([[sent, sent, round + 1]]);
    }
  });

  it('loses nothing when it is killed at each step of a filing', async () => {
    const steps: FilingStep[] = [];
    let killAt: number | undefined;
    const { ship, select, log } = createLogFixture(await openTestDatabase('sqlite'), {
      onStep(step) {
        steps.push(step);
        const pid = log.processId();
        if (steps.length === killAt && pid !== undefined) process.kill(pid, 'SIGKILL');
      },
    });
    for (let round = 0; round < 5; round++) {
      await ship(
        'predictions',
        range(round * 10, round * 10 + 10).map((i) => predictionLine(i)),
      );
      steps.length = 0;
      killAt = round + 1;
      const outcome = await log.compact().then(
        () => 'filed',
        (error: unknown) => (error as { code?: string }).code,
      );
      expect(['filed', 'TEMPORARILY_UNAVAILABLE']).toContain(outcome);
      const rows = round * 10 + 10;
      expect(await select('select count(*), count(distinct prediction_id) from predictions')).toEqual([
        [rows, rows],
      ]);
    }
    killAt = undefined;
    await log.compact();
    expect(await select('select count(*) from predictions')).toEqual([[50]]);
  });

  it('ends with the server that it belongs to', async () => {
    const fixture = createLogFixture(await openTestDatabase('sqlite'));
    await fixture.select('select 1');
    const pid = fixture.log.processId()!;
    await fixture.log.close();
    await expect.poll(() => isAlive(pid)).toBe(false);
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
