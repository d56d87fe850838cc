import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type ReplayRow, readReplayRows } from '../../src/cli/replay/replay-table.ts';
import { getJson, postJson, type SpawnedPlatform, spawnPlatform } from '../support/spawn-platform.ts';
import { canFindChildren, findChildren } from './find-children.ts';
import { type LoopAcknowledged, verifyLoop } from './verify-loop.ts';

const FLIGHTS = fileURLToPath(new URL('../../examples/flights/', import.meta.url));

/** How each process of the loop is known by its command line; what lives shortly is hit when it is there. */
const VICTIMS = {
  'control plane': undefined,
  'model server': 'model-server-process',
  'log store': 'log-process',
  'pipeline step': 'step-process',
  judge: 'judge-process',
} as const;
export type Victim = keyof typeof VICTIMS;

export interface LoopReport {
  kills: Partial<Record<Victim, number>>;
  days: number;
  acknowledged: { predictions: number; labels: number };
  /** What the platform did meanwhile, from its own records. */
  seen: Record<string, number>;
  lost: string[];
}

const DAY_MS = 86_400_000;
const CONNECTIONS = 8;
/** A client asks again for so long while the platform comes back; a first training that failed is tried again after a minute. */
const BACK_WITHIN_MS = 150_000;

/**
 * Lives through the flights of the demo while processes are killed with SIGKILL at random moments: each request and
 * label is sent until it is acknowledged, and in the end everything acknowledged must be there, once, and no step of
 * the loop may have had its effect twice.
 */
export async function killLoop({
  folder,
  kills,
  maxDays,
  random,
  onDay,
}: {
  folder: string;
  kills: number;
  /** Ends here even if there are kills left to make. */
  maxDays: number;
  random: () => number;
  onDay?: (report: LoopReport) => void;
}): Promise<LoopReport> {
  const project = join(folder, 'project');
  cpSync(FLIGHTS, project, { recursive: true });
  const rows = await readReplayRows(join(FLIGHTS, 'live.parquet'), { target: 'delay > 15', time: 'date' });
  const start = () =>
    spawnPlatform({
      dataDir: join(folder, 'data'),
      args: ['--clock', 'events'],
      cwd: project,
      env: { ...process.env, TIDEMILL_REPORT_MS: '100' },
      readyWithinMs: 120_000,
    });
  const at: { platform: SpawnedPlatform } = { platform: await start() };
  const report: LoopReport = {
    kills: {},
    days: 0,
    acknowledged: { predictions: 0, labels: 0 },
    seen: {},
    lost: [],
  };
  const acknowledged: LoopAcknowledged = { predictions: new Map(), labels: new Map() };
  let isOver = false;
  let made = 0;

  async function killAtRandom(): Promise<void> {
    while (!isOver && made < kills) {
      await pause(200 + random() * 2500);
      if (isOver) return;
      const victim = draw(random);
      const main = at.platform.child.pid as number;
      const entry = VICTIMS[victim];
      if (entry === undefined) {
        await at.platform.kill();
        at.platform = await start();
      } else {
        const [pid] = findDescendants(main, entry);
        if (pid === undefined) continue; // Not there at the moment: the next draw.
        try {
          process.kill(pid, 'SIGKILL');
        } catch {
          continue;
        }
      }
      made += 1;
      report.kills[victim] = (report.kills[victim] ?? 0) + 1;
    }
  }

  /** Asks again until the answer comes: a client that must have it. */
  async function insist(path: string, body: unknown): Promise<any> {
    const until = performance.now() + BACK_WITHIN_MS;
    for (;;) {
      try {
        const { status, body: answer } = await postJson(`${at.platform.serveUrl}${path}`, body);
        if (status === 200) return answer;
        if (status < 500 && status !== 429)
          throw new Error(`POST ${path} answered ${status}: ${JSON.stringify(answer)}`);
      } catch (error) {
        if (performance.now() > until) throw error;
        if (error instanceof Error && error.message.startsWith('POST ')) throw error;
      }
      if (performance.now() > until) throw new Error(`POST ${path} is not answered for ${BACK_WITHIN_MS} ms`);
      await pause(20);
    }
  }

  async function settle(until: number): Promise<void> {
    const end = performance.now() + 3 * BACK_WITHIN_MS;
    while (performance.now() < end) {
      const loop = await getJson(`${at.platform.url}/api/v1/loop?until=${until}&wait_ms=2000`).catch(
        () => undefined,
      );
      if (loop?.status === 200 && loop.body.settled_until >= until) return;
      if (loop === undefined) await pause(50);
    }
    throw new Error(`the platform has not settled at ${new Date(until).toISOString()}`);
  }

  const killing = killAtRandom();
  let failed: Error | undefined;
  try {
    await getServed(insist, rows[0] as ReplayRow);
    let due: { at: number; body: { prediction_id: string; label: unknown; timestamp: number } }[] = [];
    for (const day of daysOf(rows)) {
      if (report.days >= maxDays || (made >= kills && report.days >= 10)) break;
      const from = (day[0] as ReplayRow).at;
      const queue = day.slice();
      const work = async () => {
        for (let row = queue.shift(); row !== undefined; row = queue.shift()) {
          const answer = await insist('/predict', {
            features: row.features,
            timestamp: new Date(row.at).toISOString(),
          });
          acknowledged.predictions.set(answer.prediction_id, { version: answer.model_version, at: row.at });
          const timestamp = row.at + DAY_MS;
          due.push({
            at: timestamp,
            body: { prediction_id: answer.prediction_id, label: row.label, timestamp },
          });
        }
      };
      await Promise.all(Array.from({ length: CONNECTIONS }, work));
      const known = due.filter((label) => label.at < from + DAY_MS);
      due = due.filter((label) => label.at >= from + DAY_MS);
      if (known.length > 0) {
        await insist(
          '/models/flights/feedback',
          known.map(({ body }) => body),
        );
        for (const { body } of known) acknowledged.labels.set(body.prediction_id, body.label);
      }
      await settle((day.at(-1) as ReplayRow).at);
      report.days += 1;
      report.acknowledged = {
        predictions: acknowledged.predictions.size,
        labels: acknowledged.labels.size,
      };
      onDay?.(report);
    }
  } catch (error) {
    failed = error instanceof Error ? error : new Error('the replay failed', { cause: error });
  }
  isOver = true;
  await killing;
  try {
    if (failed !== undefined) throw new Error(`${failed.message}\n${at.platform.stderr().slice(-3000)}`);
    const { seen, lost } = await verifyLoop(at.platform, acknowledged);
    Object.assign(report, { seen, lost });
  } finally {
    await at.platform.stop();
  }
  return report;
}

function draw(random: () => number): Victim {
  if (!canFindChildren) return 'control plane';
  const victims = Object.keys(VICTIMS) as Victim[];
  return victims[Math.floor(random() * victims.length)] as Victim;
}

/** Children, and children of children: a step's process may be started by another one. */
function findDescendants(pid: number, text: string): number[] {
  const direct = findChildren(pid, text);
  if (direct.length > 0) return direct;
  return findChildren(pid, '').flatMap((child) => findChildren(child, text));
}

/** Waits until the first model, trained at the first start, answers. */
async function getServed(
  insist: (path: string, body: unknown) => Promise<any>,
  row: ReplayRow,
): Promise<void> {
  // Not of the replay's time: this request must not move the clock ahead of the first day.
  await insist('/predict', { features: row.features, timestamp: new Date(row.at).toISOString() });
}

function* daysOf(rows: readonly ReplayRow[]): Generator<ReplayRow[]> {
  let day: ReplayRow[] = [];
  for (const row of rows) {
    const first = day[0];
    if (first !== undefined && Math.floor(row.at / DAY_MS) !== Math.floor(first.at / DAY_MS)) {
      yield day;
      day = [];
    }
    day.push(row);
  }
  if (day.length > 0) yield day;
}
