import { spawnSync } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createHttpClient } from '../../src/cli/http/http-client.ts';
import { type ReplayRow, readReplayRows, replayTable } from '../../src/cli/replay/replay-table.ts';
import { getJson, postJson, type SpawnedPlatform, spawnPlatform } from '../support/spawn-platform.ts';

const FLIGHTS = fileURLToPath(new URL('../../examples/flights/', import.meta.url));
const BIN = fileURLToPath(new URL('../../bin/tidemill.js', import.meta.url));
const DAY_MS = 86_400_000;

export interface BadCanaryReport {
  /** How the rollout of the bad version ended, and why. */
  state: string;
  note: string;
  /** Rows that the platform lived through while the bad version was let in, and what it answered of them. */
  requests: number;
  answeredByCanary: number;
  /** Days of event time from the forced promotion to its end. */
  days: number;
  errors: number;
  servesAfterwards: string;
}

/**
 * Trains a version on shuffled labels, forces it past the gate, and lives on with labels arriving, until the platform
 * has undone it by itself or `maxDays` are over.
 */
export async function undoBadCanary({
  folder,
  maxDays,
  random,
}: {
  folder: string;
  maxDays: number;
  random: () => number;
}): Promise<BadCanaryReport> {
  const project = join(folder, 'project');
  cpSync(FLIGHTS, project, { recursive: true });
  // Steps that are long enough for the labels of their own requests to come.
  const config = join(project, 'tidemill.config.ts');
  writeFileSync(config, readFileSync(config, 'utf8').replace("stepFor: '1d'", "stepFor: '5d'"));
  const platform = await spawnPlatform({
    dataDir: join(folder, 'data'),
    args: ['--clock', 'events'],
    cwd: project,
    env: { ...process.env, TIDEMILL_REPORT_MS: '100' },
    readyWithinMs: 120_000,
  });
  try {
    const rows = await readReplayRows(join(FLIGHTS, 'live.parquet'), { target: 'delay > 15', time: 'date' });
    const good = await firstAnswer(platform, rows[0] as ReplayRow);
    const bad = await trainOnShuffled(platform, folder, random);
    const forced = await postJson(`${platform.url}/api/v1/models/flights/promote`, {
      version: bad,
      force: true,
      reason: 'to see whether it is undone',
    });
    if (forced.status !== 200) throw new Error(`not promoted: ${JSON.stringify(forced.body)}`);
    const rollout = async () =>
      (await getJson(`${platform.url}/api/v1/models/flights/rollouts/${forced.body.rollout}`)).body as Record<
        string,
        any
      >;
    const report = { requests: 0, answeredByCanary: 0, days: 0, errors: 0 };
    let current = await rollout();
    const steps = replayTable({
      model: 'flights',
      serveUrl: platform.serveUrl,
      client: createHttpClient({ url: platform.url, remedy: 'the test started it' }),
      rows,
      labelDelayMs: DAY_MS,
      stepMs: DAY_MS,
      connections: 8,
      signal: new AbortController().signal,
    });
    for await (const step of steps) {
      report.days += 1;
      report.requests += step.rows.length;
      report.errors += step.errors;
      report.answeredByCanary += step.rows.filter(({ answer }) => answer?.model_version === bad).length;
      current = await rollout();
      if (!['shadow', 'canary', 'watching'].includes(current['state']) || report.days >= maxDays) break;
    }
    const after = (await getJson(`${platform.url}/api/v1/models/flights`)).body;
    if (good === bad) throw new Error('the bad version was the first one');
    return {
      ...report,
      state: String(current['state']),
      note: String(current['note'] ?? ''),
      servesAfterwards: String(after.champion.version),
    };
  } finally {
    await platform.stop();
  }
}

/** The first model is trained by itself; its version, as soon as it answers. */
async function firstAnswer(platform: SpawnedPlatform, row: ReplayRow): Promise<string> {
  const deadline = performance.now() + 120_000;
  for (;;) {
    const body = { features: row.features, timestamp: row.at };
    const answer = await postJson(`${platform.serveUrl}/predict`, body);
    if (answer.status === 200) return answer.body.model_version;
    if (performance.now() > deadline) throw new Error(`nothing serves: ${JSON.stringify(answer.body)}`);
    await new Promise((again) => setTimeout(again, 50));
  }
}

async function trainOnShuffled(
  platform: SpawnedPlatform,
  folder: string,
  random: () => number,
): Promise<string> {
  const rows = await readReplayRows(join(FLIGHTS, 'january.parquet'), { target: 'delay > 15', time: 'date' });
  const labels = rows.map(({ label }) => label);
  for (let i = labels.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [labels[i], labels[j]] = [labels[j] as boolean, labels[i] as boolean];
  }
  const lines = rows.map(({ features: { date, distance, destination } }, i) =>
    [date, labels[i] === true ? 60 : 0, distance, destination].join(','),
  );
  const file = join(folder, 'shuffled.csv');
  writeFileSync(file, `date,delay,distance,destination\n${lines.join('\n')}\n`);
  const trained = spawnSync(
    process.execPath,
    [BIN, 'train', file, '--target', 'delay > 15', '--name', 'flights', '--set', 'trees=20', '--json'],
    { encoding: 'utf8', env: { ...process.env, TIDEMILL_URL: platform.url } },
  );
  if (trained.status !== 0) throw new Error(`training failed: ${trained.stderr}`);
  return String(JSON.parse(trained.stdout).version);
}
