import { setTimeout as pause } from 'node:timers/promises';
import { getJson, postJson, type SpawnedPlatform, spawnPlatform } from '../support/spawn-platform.ts';

const IRIS = {
  'sepal length (cm)': 5.1,
  'sepal width (cm)': 3.5,
  'petal length (cm)': 1.4,
  'petal width (cm)': 0.2,
};

export interface FaultReport {
  rounds: number;
  kills: Record<'platform' | 'model server', number>;
  acknowledgedRuns: number;
  acknowledgedMetrics: number;
  acknowledgedPromotions: number;
  answeredPredictions: number;
  /** Empty when nothing that was acknowledged is lost. */
  losses: string[];
}

/**
 * Logs runs, promotes two versions in turn and predicts, kills one process of the platform with SIGKILL at a random
 * moment, starts again what does not start by itself, and looks whether everything acknowledged is there. `dataDir`
 * must hold a model `iris` with versions 1 and 2.
 */
export async function killRounds({
  dataDir,
  rounds,
  random,
  bin,
  onRound,
}: {
  dataDir: string;
  rounds: number;
  random: () => number;
  bin?: string;
  onRound?: (round: number, report: FaultReport) => void;
}): Promise<FaultReport> {
  const report: FaultReport = {
    rounds: 0,
    kills: { platform: 0, 'model server': 0 },
    acknowledgedRuns: 0,
    acknowledgedMetrics: 0,
    acknowledgedPromotions: 0,
    answeredPredictions: 0,
    losses: [],
  };
  const runs = new Map<string, number[]>();
  const everyRun = new Map<string, number[]>();
  let platform = await spawnPlatform({ dataDir, ...(bin !== undefined && { bin }) });
  try {
    for (let round = 1; round <= rounds; round += 1) {
      const stop = new AbortController();
      const state = {
        lastAcknowledged: undefined as string | undefined,
        inFlight: undefined as string | undefined,
      };
      const work = [
        logRuns(platform, runs, report, stop.signal),
        logRuns(platform, runs, report, stop.signal),
        promoteInTurn(platform, state, report, stop.signal),
        predict(platform, report, stop.signal),
      ];
      await pause(50 + random() * 1200);
      const target = random() < 0.6 ? 'platform' : 'model server';
      report.kills[target] += 1;
      if (target === 'platform') await platform.kill();
      else process.kill(await presentModelServer(platform), 'SIGKILL');
      stop.abort();
      await Promise.all(work);
      if (target === 'platform')
        platform = await spawnPlatform({ dataDir, ...(bin !== undefined && { bin }) });
      await verifyRuns(platform, runs, report, `round ${round}`);
      for (const [runId, values] of runs) everyRun.set(runId, values);
      runs.clear();
      await verifyChampion(platform, state, report, round);
      report.rounds = round;
      onRound?.(round, report);
    }
    await verifyRuns(platform, everyRun, report, 'at the end');
    const audit = await getJson(`${platform.url}/api/v1/audit/verify`);
    if (audit.body.ok !== true)
      report.losses.push(`the audit chain is broken: ${JSON.stringify(audit.body)}`);
  } finally {
    await platform.stop();
  }
  return report;
}

async function presentModelServer(platform: SpawnedPlatform): Promise<number> {
  const { readFile } = await import('node:fs/promises');
  const parent = platform.child.pid;
  const children = (await readFile(`/proc/${parent}/task/${parent}/children`, 'utf8')).trim().split(/\s+/);
  const pid = Number(children[0]);
  return Number.isInteger(pid) && pid > 0 ? pid : platform.servePid;
}

async function logRuns(
  { url }: SpawnedPlatform,
  runs: Map<string, number[]>,
  report: FaultReport,
  signal: AbortSignal,
): Promise<void> {
  const api = `${url}/api/2.0/mlflow`;
  while (!signal.aborted) {
    const created = await attempt(() =>
      postJson(`${api}/runs/create`, { experiment_id: '0', start_time: Date.now() }),
    );
    if (created?.status !== 200) return;
    const runId = String(created.body.run.info.run_id);
    const values: number[] = [];
    runs.set(runId, values);
    report.acknowledgedRuns += 1;
    for (let step = 0; step < 5 && !signal.aborted; step += 1) {
      const metrics = [{ key: 'loss', value: step + 0.5, timestamp: Date.now(), step }];
      const logged = await attempt(() => postJson(`${api}/runs/log-batch`, { run_id: runId, metrics }));
      if (logged?.status !== 200) return;
      values.push(step + 0.5);
      report.acknowledgedMetrics += 1;
    }
  }
}

async function promoteInTurn(
  { url }: SpawnedPlatform,
  state: { lastAcknowledged: string | undefined; inFlight: string | undefined },
  report: FaultReport,
  signal: AbortSignal,
): Promise<void> {
  const now = await attempt(() => getJson(`${url}/api/v1/models/iris`));
  let version = now?.body.champion?.version === '1' ? '2' : '1';
  while (!signal.aborted) {
    state.inFlight = version;
    const chosen = version;
    const done = await attempt(() =>
      postJson(`${url}/api/v1/models/iris/promote`, { version: chosen, force: true, reason: 'fault round' }),
    );
    if (done?.status !== 200) return;
    state.lastAcknowledged = version;
    state.inFlight = undefined;
    report.acknowledgedPromotions += 1;
    version = version === '1' ? '2' : '1';
  }
}

async function predict(
  { serveUrl }: SpawnedPlatform,
  report: FaultReport,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const answer = await attempt(() => postJson(`${serveUrl}/predict`, { features: IRIS }));
    if (answer === undefined) return;
    if (answer.status === 200) report.answeredPredictions += 1;
    else report.losses.push(`a prediction was answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  }
}

/** Looks for every acknowledged run, and for the last value that was acknowledged of it. */
async function verifyRuns(
  { url }: SpawnedPlatform,
  runs: Map<string, number[]>,
  report: FaultReport,
  when: string,
): Promise<void> {
  for (const [runId, values] of runs) {
    const { status, body } = await getJson(`${url}/api/2.0/mlflow/runs/get?run_id=${runId}`);
    if (status !== 200) {
      report.losses.push(`${when}: run ${runId} is gone`);
      continue;
    }
    const latest = (body.run.data.metrics?.[0] as { value: number } | undefined)?.value ?? -1;
    const acknowledged = values.at(-1) ?? -1;
    if (latest < acknowledged)
      report.losses.push(`${when}: run ${runId} has ${latest} instead of ${acknowledged}`);
  }
}

/** The champion is the last one acknowledged, or the one that was asked for without an answer; and it answers. */
async function verifyChampion(
  { url, serveUrl }: SpawnedPlatform,
  state: { lastAcknowledged: string | undefined; inFlight: string | undefined },
  report: FaultReport,
  round: number,
): Promise<void> {
  const model = await getJson(`${url}/api/v1/models/iris`);
  const champion = model.body.champion?.version;
  const allowed = [state.lastAcknowledged ?? champion, state.inFlight];
  if (!allowed.includes(champion)) {
    report.losses.push(`round ${round}: champion is ${champion}, acknowledged was ${state.lastAcknowledged}`);
  }
  const deadline = Date.now() + 30_000;
  for (;;) {
    const answer = await attempt(() => postJson(`${serveUrl}/predict`, { features: IRIS }));
    if (
      answer?.status === 200 &&
      answer.body.prediction === 'setosa' &&
      answer.body.model_version === champion
    )
      return;
    if (Date.now() > deadline) {
      report.losses.push(
        `round ${round}: the model server answers ${JSON.stringify(answer)}, champion is ${champion}`,
      );
      return;
    }
    await pause(20);
  }
}

/** The answer, or nothing when the connection broke, as it does when the other end is killed. */
async function attempt<T>(call: () => Promise<T>): Promise<T | undefined> {
  try {
    return await call();
  } catch {
    return undefined;
  }
}
