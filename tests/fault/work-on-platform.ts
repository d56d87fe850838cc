import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { getJson, postJson, type SpawnedPlatform } from '../support/spawn-platform.ts';
import type { Acknowledged, MetricPoint } from './acknowledged.ts';

export const SETOSA = {
  'sepal length (cm)': 5.1,
  'sepal width (cm)': 3.5,
  'petal length (cm)': 1.4,
  'petal width (cm)': 0.2,
};

export type ProcessKind = 'control plane' | 'model server' | 'judge' | 'table work';

/** One round's work: where its answers are written down, and which disturbance they must expect. */
export interface Work {
  platform: SpawnedPlatform;
  acknowledged: Acknowledged;
  /** Promotions that were asked for and not (or not yet) answered, which may have happened. */
  unansweredPromotions: { reason: string; to: string }[];
  /** The versions that may serve: the champion at the start, and what promotions were asked for. */
  mayServe: Set<string>;
  /** Set just before the kill. */
  killed: ProcessKind | undefined;
  stop: AbortSignal;
  /** Hears every answer that the kill does not explain. */
  unexpected: (what: string) => void;
}

type Answer = { status: number; body: any };

/** Everything that clients do at the same time, until `work.stop`. */
export async function workOnPlatform(work: Work): Promise<void> {
  await Promise.all([
    logRuns(work),
    logRuns(work),
    promoteInTurn(work),
    uploadTables(work),
    putArtifacts(work),
    predict(work),
  ]);
}

/** The answer, or undefined when the connection broke because the control plane was killed. */
async function ask(work: Work, what: string, call: () => Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await call();
  } catch (error) {
    if (work.killed !== 'control plane') work.unexpected(`${what}: ${describe(error)}`);
    return undefined;
  }
}

/** True for 200; every other status is told. */
function isAccepted(work: Work, what: string, answer: Answer): boolean {
  if (answer.status === 200) return true;
  work.unexpected(`${what} was answered ${answer.status}: ${JSON.stringify(answer.body)}`);
  return false;
}

async function logRuns(work: Work): Promise<void> {
  const api = `${work.platform.url}/api/2.0/mlflow`;
  const send = (what: string, path: string, body: unknown) =>
    ask(work, what, () => postJson(`${api}/${path}`, body));
  while (!work.stop.aborted) {
    const created = await send('runs/create', 'runs/create', { experiment_id: '0', start_time: Date.now() });
    if (!created || !isAccepted(work, 'runs/create', created)) return;
    const runId = String(created.body.run.info.run_id);
    const run = {
      points: [] as MetricPoint[],
      unanswered: [] as MetricPoint[],
      params: new Map(),
      isFinished: false,
    };
    work.acknowledged.runs.set(runId, run);
    for (let step = 0; step < 10 && !work.stop.aborted; step += 1) {
      const timestamp = Date.now();
      const metrics = [
        { key: 'loss', value: 1 / (step + 1), timestamp, step },
        { key: 'loss', value: 1 / (step + 2), timestamp, step: step + 1000 },
        { key: 'accuracy', value: step / 10, timestamp, step },
      ];
      const params = [{ key: `param-${step}`, value: randomUUID() }];
      run.unanswered = metrics;
      const logged = await send('log-batch', 'runs/log-batch', { run_id: runId, metrics, params });
      if (!logged || !isAccepted(work, 'log-batch', logged)) return;
      run.unanswered = [];
      run.points.push(...metrics);
      for (const { key, value } of params) run.params.set(key, value);
    }
    const ended = await send('runs/update', 'runs/update', {
      run_id: runId,
      status: 'FINISHED',
      end_time: Date.now(),
    });
    if (!ended || !isAccepted(work, 'runs/update', ended)) return;
    run.isFinished = true;
  }
}

async function promoteInTurn(work: Work): Promise<void> {
  const models = `${work.platform.url}/api/v1/models/iris`;
  const before = await ask(work, 'models/iris', () => getJson(models));
  if (!before || !isAccepted(work, 'models/iris', before)) return;
  let to = before.body.champion?.version === '1' ? '2' : '1';
  while (!work.stop.aborted) {
    const promotion = { reason: `fault ${randomUUID()}`, to };
    work.mayServe.add(to);
    work.unansweredPromotions.push(promotion);
    const done = await ask(work, 'promote', () =>
      postJson(`${models}/promote`, { version: promotion.to, force: true, reason: promotion.reason }),
    );
    if (!done) return;
    work.unansweredPromotions.pop();
    if (work.killed === 'judge' && done.status === 503) continue;
    if (!isAccepted(work, 'promote', done)) return;
    if (done.body.changed !== true || done.body.to !== to) {
      work.unexpected(`promote to ${to} was answered ${JSON.stringify(done.body)}`);
    }
    work.acknowledged.promotions.push(promotion);
    to = to === '1' ? '2' : '1';
  }
}

async function uploadTables(work: Work): Promise<void> {
  const url = `${work.platform.url}/api/v1/datasets/fault/versions?filename=rows.csv`;
  while (!work.stop.aborted) {
    const lines = Array.from({ length: 200 }, (_, row) => `${row},${randomUUID()}`);
    const body = `row,text\n${lines.join('\n')}\n`;
    const done = await ask(work, 'upload', async () => {
      const headers = { 'content-type': 'text/csv' };
      const response = await fetch(url, { method: 'POST', headers, body });
      return { status: response.status, body: await response.json() };
    });
    if (!done) return;
    if (work.killed === 'table work' && done.status === 503) continue;
    if (!isAccepted(work, 'upload', done)) return;
    const { version, rows, digest } = done.body;
    if (rows !== lines.length) work.unexpected(`upload: version ${version} has ${rows} rows`);
    work.acknowledged.tables.set(Number(version), { rows: Number(rows), digest: String(digest) });
  }
}

async function putArtifacts(work: Work): Promise<void> {
  while (!work.stop.aborted) {
    const path = `fault/${randomUUID()}.bin`;
    const body = Buffer.from(randomUUID().repeat(4000));
    const put = await ask(work, 'artifact', async () => {
      const url = `${work.platform.url}/api/2.0/mlflow-artifacts/artifacts/${path}`;
      const response = await fetch(url, { method: 'PUT', body });
      return { status: response.status, body: await response.json() };
    });
    if (!put || !isAccepted(work, 'artifact', put)) return;
    work.acknowledged.artifacts.set(path, createHash('sha256').update(body).digest('hex'));
    await pause(20);
  }
}

/** A killed model server comes back on its port: until it answers again, it may refuse. */
async function predict(work: Work): Promise<void> {
  let isComingBack = false;
  while (!work.stop.aborted) {
    const answer = await tryToPredict(work.platform.serveUrl);
    if (typeof answer === 'string') {
      if (work.killed !== 'control plane' && work.killed !== 'model server') {
        work.unexpected(`predict: ${answer}`);
      }
      if (work.killed === 'control plane') return;
      isComingBack = true;
      await pause(20);
    } else if (answer.status === 503 && isComingBack) {
      await pause(20);
    } else if (isAccepted(work, 'predict', answer)) {
      isComingBack = false;
      const { prediction, model_version: version } = answer.body;
      if (prediction !== 'setosa' || !work.mayServe.has(version)) {
        work.unexpected(
          `version ${version} answered ${prediction}; champion was ${[...work.mayServe].join()}`,
        );
      }
      const { predictions } = work.acknowledged;
      predictions.set(version, (predictions.get(version) ?? 0) + 1);
    }
  }
}

/** The answer, or why there is none. */
export async function tryToPredict(serveUrl: string): Promise<Answer | string> {
  try {
    return await postJson(`${serveUrl}/predict`, { features: SETOSA });
  } catch (error) {
    return describe(error);
  }
}

function describe(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error ? `${message}: ${cause.message}` : message;
}
