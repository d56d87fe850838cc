import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { getJson, type SpawnedPlatform } from '../support/spawn-platform.ts';
import type { Acknowledged, AcknowledgedRun, MetricPoint } from './acknowledged.ts';
import { tryToPredict } from './work-on-platform.ts';

const CONCURRENCY = 16;
const SERVES_WITHIN_MS = 30_000;

type Tell = (what: string) => void;

/** Compares runs, artifacts and tables with what was acknowledged of them; tells every difference. */
export async function verifyAcknowledged(
  { url }: SpawnedPlatform,
  { runs, artifacts, tables }: Acknowledged,
  lost: Tell,
): Promise<void> {
  await forEach(runs, ([runId, run]) => verifyRun(url, runId, run, lost));
  await forEach(artifacts, async ([path, sha256]) => {
    const response = await fetch(`${url}/api/2.0/mlflow-artifacts/artifacts/${path}`);
    const found = await sha256Of(response);
    if (response.status !== 200) lost(`artifact ${path} is answered ${response.status}`);
    else if (found !== sha256) lost(`artifact ${path} has SHA-256 ${found} instead of ${sha256}`);
  });
  await forEach(tables, async ([version, table]) => {
    const at = `${url}/api/v1/datasets/fault/versions/${version}`;
    const { status, body } = await getJson(at);
    if (status !== 200) return lost(`version ${version} of the table is answered ${status}`);
    if (body.digest !== table.digest || body.rows !== table.rows) {
      lost(`version ${version} of the table is ${body.digest} (${body.rows} rows), not ${table.digest}`);
    }
    const data = await fetch(`${at}/data`);
    const found = await sha256Of(data);
    if (data.status !== 200 || found !== data.headers.get('x-content-sha256')) {
      lost(`the data of version ${version} of the table is answered ${data.status} with SHA-256 ${found}`);
    }
  });
}

async function verifyRun(url: string, runId: string, run: AcknowledgedRun, lost: Tell): Promise<void> {
  const api = `${url}/api/2.0/mlflow`;
  const { status, body } = await getJson(`${api}/runs/get?run_id=${runId}`);
  if (status !== 200) return lost(`run ${runId} is answered ${status}`);
  if (run.isFinished && body.run.info.status !== 'FINISHED') {
    lost(`run ${runId} is ${body.run.info.status}, though it was finished`);
  }
  const params = new Map<string, string>(
    (body.run.data.params ?? []).map(({ key, value }: any) => [key, value]),
  );
  for (const [key, value] of run.params) {
    if (params.get(key) !== value) lost(`run ${runId}: parameter ${key} is ${params.get(key)}, not ${value}`);
  }
  for (const key of new Set([...run.points, ...run.unanswered].map((point) => point.key))) {
    const found = await readHistory(`${api}/metrics/get-history?run_id=${runId}&metric_key=${key}`);
    if (typeof found === 'string') lost(`run ${runId}: the history of ${key} is answered ${found}`);
    else comparePoints(`run ${runId}: ${key}`, found, run, key, lost);
  }
}

/** Each acknowledged point is there once; beside them only the one unanswered batch, whole. */
export function comparePoints(
  what: string,
  found: MetricPoint[],
  { points, unanswered }: AcknowledgedRun,
  key: string,
  lost: Tell,
): void {
  const describe = ({ value, timestamp, step }: MetricPoint) => `${value} at ${timestamp}, step ${step}`;
  const counts = new Map<string, number>();
  for (const point of found) counts.set(describe(point), (counts.get(describe(point)) ?? 0) + 1);
  const take = (batch: MetricPoint[]) =>
    batch
      .filter((point) => point.key === key)
      .map((point) => {
        const count = counts.get(describe(point)) ?? 0;
        counts.delete(describe(point));
        return { point: describe(point), count };
      });
  for (const { point, count } of take(points)) {
    if (count !== 1) lost(`${what} of ${point} is there ${count} times`);
  }
  const half = take(unanswered).map(({ count }) => count);
  if (half.some((count) => count > 1 || count !== half[0])) {
    lost(`${what}: a batch without an answer is there in part or twice: ${half.join()}`);
  }
  for (const [point, count] of counts)
    lost(`${what} of ${point} is there ${count} times, and nobody sent it`);
}

async function readHistory(url: string): Promise<MetricPoint[] | string> {
  const all: MetricPoint[] = [];
  let token = '';
  do {
    const { status, body } = await getJson(`${url}${token && `&page_token=${encodeURIComponent(token)}`}`);
    if (status !== 200) return `${status}: ${JSON.stringify(body)}`;
    all.push(...(body.metrics ?? []));
    token = body.next_page_token ?? '';
  } while (token !== '');
  return all;
}

/**
 * Every acknowledged promotion is in the model's history and in the audit, once, in the order of the answers; no other
 * happened but the one without an answer, and the champion is where the last of them led. Answers the champion.
 */
export async function verifyPromotions(
  { url }: SpawnedPlatform,
  { promotions }: Acknowledged,
  unanswered: { reason: string; to: string }[],
  lost: Tell,
): Promise<string> {
  const { body: model } = await getJson(`${url}/api/v1/models/iris`);
  const { body } = await getJson(`${url}/api/v1/models/iris/history`);
  const moves = [...body.history].sort((a: any, b: any) => a.revision - b.revision);
  const known = new Map([...promotions, ...unanswered].map(({ reason, to }) => [reason, to]));
  const happened = moves.filter(({ reason }: any) => known.has(reason));
  const audited = new Set((await readAudit(url)).map(({ sequence, reason }) => `${sequence} ${reason}`));
  const expected = [...promotions, ...unanswered].filter(
    ({ reason }) =>
      promotions.some((one) => one.reason === reason) || happened.some((move: any) => move.reason === reason),
  );
  if (
    JSON.stringify(happened.map((move: any) => move.reason)) !==
    JSON.stringify(expected.map(({ reason }) => reason))
  ) {
    lost(
      `the history has ${happened.length} promotions of the ${expected.length} that were acknowledged, or another order`,
    );
  }
  for (const move of happened) {
    if (move.action !== 'promote' || move.to !== known.get(move.reason)) {
      lost(`the promotion to ${known.get(move.reason)} is in the history as ${move.action} to ${move.to}`);
    }
    if (!audited.has(`${move.audit_sequence} ${move.reason}`)) {
      lost(`the audit lacks entry ${move.audit_sequence}, the promotion to ${move.to}`);
    }
  }
  const champion = model.champion?.version;
  if (champion !== moves.at(-1)?.to)
    lost(`champion is ${champion}, the last move led to ${moves.at(-1)?.to}`);
  return champion;
}

async function readAudit(url: string): Promise<{ sequence: number; reason?: string }[]> {
  const all: { sequence: number; reason?: string }[] = [];
  for (;;) {
    const before = all.at(-1)?.sequence;
    const page = `subject=models/iris&limit=1000${before === undefined ? '' : `&before=${before}`}`;
    const { entries } = (await getJson(`${url}/api/v1/audit?${page}`)).body;
    all.push(...entries);
    if (entries.length < 1000) return all;
  }
}

/** The model server comes to answer with the champion, within a time. */
export async function verifyServes(serveUrl: string, champion: string, lost: Tell): Promise<void> {
  const deadline = performance.now() + SERVES_WITHIN_MS;
  for (;;) {
    const answer = await tryToPredict(serveUrl);
    if (typeof answer !== 'string' && answer.status === 200 && answer.body.model_version === champion) {
      if (answer.body.prediction !== 'setosa') lost(`version ${champion} answers ${answer.body.prediction}`);
      return;
    }
    if (performance.now() > deadline) {
      return lost(`champion is ${champion}, but the model server answers ${JSON.stringify(answer)}`);
    }
    await pause(20);
  }
}

async function sha256Of(response: Response): Promise<string> {
  return createHash('sha256')
    .update(new Uint8Array(await response.arrayBuffer()))
    .digest('hex');
}

async function forEach<T>(items: Iterable<T>, act: (item: T) => Promise<void>): Promise<void> {
  const left = [...items].reverse();
  const work = async () => {
    for (let item = left.pop(); item !== undefined; item = left.pop()) await act(item);
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, work));
}
