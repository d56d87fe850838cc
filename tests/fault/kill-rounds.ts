import { setTimeout as pause } from 'node:timers/promises';
import { getJson, spawnPlatform } from '../support/spawn-platform.ts';
import {
  type AcknowledgedCounts,
  addAcknowledged,
  countAcknowledged,
  nothingAcknowledged,
} from './acknowledged.ts';
import { awaitChild, canFindChildren } from './find-children.ts';
import { verifyAcknowledged, verifyPromotions, verifyServes } from './verify-acknowledged.ts';
import { type ProcessKind, type Work, workOnPlatform } from './work-on-platform.ts';

/** How each child of the control plane is known by its command line. */
const ENTRIES = {
  'model server': 'model-server-process',
  judge: 'judge-process',
  'table work': 'table-process',
} as const;
/** A judge and a table's process come and go: how long one is waited for. */
const CHILD_WITHIN_MS = 30_000;
/** What a round acknowledges before its kill, so that a slow machine proves as much as a quick one. */
const LEAST_A_ROUND: AcknowledgedCounts = {
  runs: 1,
  metrics: 5,
  artifacts: 1,
  promotions: 1,
  tables: 1,
  predictions: 10,
};
const ENOUGH_WITHIN_MS = 60_000;

export interface FaultReport {
  rounds: number;
  kills: Record<ProcessKind, number>;
  acknowledged: AcknowledgedCounts;
  /** Acknowledged, and not there afterwards. Empty when all is well, like the next. */
  lost: string[];
  /** Answers that no kill explains, kills that did not happen, and too little work to prove anything. */
  unexpected: string[];
}

/**
 * Logs runs, puts artifacts, uploads tables, promotes two versions in turn and predicts; kills one process of the
 * platform with SIGKILL at a random moment, starts again what does not start by itself, and compares everything that
 * was acknowledged with what is there. The kinds of processes take turns in random order. `dataDir` must hold a model
 * `iris` with versions 1 and 2, and should hold one more, which must never serve.
 */
export async function killRounds({
  dataDir,
  rounds,
  random,
  onRound,
}: {
  dataDir: string;
  rounds: number;
  random: () => number;
  onRound?: (round: number, report: FaultReport) => void;
}): Promise<FaultReport> {
  const all = nothingAcknowledged();
  const report: FaultReport = {
    rounds: 0,
    kills: { 'control plane': 0, 'model server': 0, judge: 0, 'table work': 0 },
    acknowledged: countAcknowledged(all),
    lost: [],
    unexpected: [],
  };
  let turns: ProcessKind[] = [];
  let platform = await spawnPlatform({ dataDir });
  try {
    for (let round = 1; round <= rounds; round += 1) {
      if (turns.length === 0) turns = drawTurns(random);
      const target = turns.pop() as ProcessKind;
      const lost = (what: string) => report.lost.push(`round ${round}, ${target}: ${what}`);
      const unexpected = (what: string) => report.unexpected.push(`round ${round}, ${target}: ${what}`);
      const stop = new AbortController();
      const champion = (await getJson(`${platform.url}/api/v1/models/iris`)).body.champion.version;
      const work: Work = {
        platform,
        acknowledged: nothingAcknowledged(),
        unansweredPromotions: [],
        mayServe: new Set([champion]),
        killed: undefined,
        stop: stop.signal,
        unexpected,
      };
      const working = workOnPlatform(work);
      await untilEnoughIsAcknowledged(work);
      await pause(50 + random() * 2000);
      if (await killOne(work, target, random)) report.kills[target] += 1;
      else unexpected('there was nothing to kill');
      stop.abort();
      await working;
      if (target === 'control plane') platform = await spawnPlatform({ dataDir });
      await verifyAcknowledged(platform, work.acknowledged, lost);
      const now = await verifyPromotions(platform, work.acknowledged, work.unansweredPromotions, lost);
      await verifyServes(platform.serveUrl, now, lost);
      addAcknowledged(all, work.acknowledged);
      report.rounds = round;
      report.acknowledged = countAcknowledged(all);
      onRound?.(round, report);
    }
    const lost = (what: string) => report.lost.push(`at the end: ${what}`);
    await verifyAcknowledged(platform, all, lost);
    await verifyPromotions(platform, all, [], lost);
    const audit = await getJson(`${platform.url}/api/v1/audit/verify`);
    if (audit.body.ok !== true) lost(`the audit chain is broken: ${JSON.stringify(audit.body)}`);
  } finally {
    await platform.stop();
  }
  report.unexpected.push(...findTooLittle(report));
  return report;
}

/** Waits until the work of a round has got somewhere; when it does not in time, the end tells that it was too little. */
async function untilEnoughIsAcknowledged({ acknowledged }: Work): Promise<void> {
  const end = performance.now() + ENOUGH_WITHIN_MS;
  while (performance.now() < end) {
    const counts = countAcknowledged(acknowledged);
    const kinds = Object.keys(LEAST_A_ROUND) as (keyof AcknowledgedCounts)[];
    if (kinds.every((kind) => counts[kind] >= LEAST_A_ROUND[kind])) return;
    await pause(20);
  }
}

/** Each kind once, the control plane twice; where children cannot be found, only the control plane. */
function drawTurns(random: () => number): ProcessKind[] {
  if (!canFindChildren) return ['control plane'];
  const turns: ProcessKind[] = ['control plane', 'control plane', 'model server', 'judge', 'table work'];
  return turns
    .map((kind) => ({ kind, order: random() }))
    .sort((a, b) => a.order - b.order)
    .map(({ kind }) => kind);
}

/** False when there was no such process. */
async function killOne(work: Work, target: ProcessKind, random: () => number): Promise<boolean> {
  const { platform } = work;
  if (target === 'control plane') {
    work.killed = target;
    await platform.kill();
    return true;
  }
  // Where in its short life a child is hit is drawn too; one that ended before is followed by the next.
  const delayMs = target === 'model server' ? 0 : random() * 150;
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const pid = await awaitChild(platform.child.pid as number, ENTRIES[target], CHILD_WITHIN_MS);
    if (pid === undefined) return false;
    await pause(delayMs / (attempt + 1));
    if (isKilled(work, target, pid)) return true;
  }
  return false;
}

function isKilled(work: Work, target: ProcessKind, pid: number): boolean {
  work.killed = target;
  try {
    return process.kill(pid, 'SIGKILL');
  } catch {
    work.killed = undefined;
    return false;
  }
}

/** "Nothing is lost" says nothing where nothing was acknowledged. */
export function findTooLittle({
  rounds,
  kills,
  acknowledged,
}: Omit<FaultReport, 'lost' | 'unexpected'>): string[] {
  const least: AcknowledgedCounts = {
    runs: rounds,
    metrics: 5 * rounds,
    artifacts: rounds,
    promotions: Math.ceil(rounds / 2),
    tables: Math.ceil(rounds / 2),
    predictions: 10 * rounds,
  };
  const few = Object.entries(least)
    .filter(([kind, count]) => acknowledged[kind as keyof AcknowledgedCounts] < count)
    .map(
      ([kind, count]) =>
        `too few ${kind} acknowledged: ${acknowledged[kind as keyof AcknowledgedCounts]} of ${count}`,
    );
  const killed = Object.values(kills).reduce((sum, count) => sum + count, 0);
  return killed === rounds && rounds > 0 ? few : [...few, `${killed} kills in ${rounds} rounds`];
}
