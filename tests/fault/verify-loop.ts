import { getJson, postJson, type SpawnedPlatform } from '../support/spawn-platform.ts';

/** What clients of the loop were told. */
export interface LoopAcknowledged {
  predictions: Map<string, { version: string; at: number }>;
  labels: Map<string, unknown>;
}

const PAGE = 50_000;

/** Compares what was acknowledged with what the platform knows, and looks for effects that came twice. */
export async function verifyLoop(
  platform: SpawnedPlatform,
  { predictions, labels }: LoopAcknowledged,
): Promise<{ seen: Record<string, number>; lost: string[] }> {
  const lost: string[] = [];
  const logged = await query(
    platform,
    `SELECT prediction_id, model_version, label, copies FROM (
       SELECT prediction_id, min(version) AS model_version, any_value(label) AS label, count(*) AS copies
       FROM predictions WHERE variant <> 'shadow' GROUP BY prediction_id) ORDER BY prediction_id`,
  );
  const known = new Map(logged.map((row) => [String(row['prediction_id']), row]));
  const missing = [...predictions.keys()].filter((id) => !known.has(id));
  if (missing.length > 0) lost.push(`${missing.length} acknowledged predictions are not in the log`);
  const otherVersion = [...predictions].filter(([id, { version }]) => {
    const row = known.get(id);
    return row !== undefined && String(row['model_version']) !== version;
  });
  if (otherVersion.length > 0)
    lost.push(`${otherVersion.length} predictions are logged with another version`);
  const doubled = logged.filter((row) => Number(row['copies']) !== 1);
  if (doubled.length > 0) lost.push(`${doubled.length} predictions are in the log more than once`);
  const wrong = [...labels].filter(([id, label]) => String(known.get(id)?.['label']) !== String(label));
  if (wrong.length > 0) lost.push(`${wrong.length} acknowledged labels are missing or wrong`);

  const audit = await getJson(`${platform.url}/api/v1/audit/verify`);
  if (audit.body.ok !== true) lost.push(`the audit chain is broken: ${JSON.stringify(audit.body)}`);
  const jobs = (await getJson(`${platform.url}/api/v1/jobs?subject=flights&limit=500`)).body.jobs as any[];
  const stuck = jobs.filter(
    ({ status }) => !['finished', 'failed', 'cancelled', 'succeeded'].includes(status),
  );
  if (stuck.length > 0) lost.push(`${stuck.length} jobs have not ended: ${JSON.stringify(stuck[0])}`);
  const failed = jobs.filter(({ status }) => status === 'failed');
  if (failed.length > 0) lost.push(`${failed.length} jobs failed: ${JSON.stringify(failed[0])}`);
  const decisions = (
    await getJson(`${platform.url}/api/v1/models/flights/decisions?limit=500`)
  ).body.decisions.filter(({ kind }: { kind: string }) => kind === 'gate') as any[];
  const versions = decisions.map(({ version }) => String(version));
  const twice = versions.filter((version, i) => versions.indexOf(version) !== i);
  if (twice.length > 0) lost.push(`versions judged more than once: ${twice.join(', ')}`);
  const model = (await getJson(`${platform.url}/api/v1/models/flights`)).body;
  const registered = (model.model_versions as unknown[]).length;
  if (registered !== jobs.length) lost.push(`${jobs.length} retrainings registered ${registered} versions`);
  if (versions.length !== registered) lost.push(`${registered} versions have ${versions.length} decisions`);
  return {
    seen: { logged: logged.length, jobs: jobs.length, versions: registered, decisions: decisions.length },
    lost,
  };
}

async function query(platform: SpawnedPlatform, sql: string): Promise<Record<string, unknown>[]> {
  const rows: Record<string, unknown>[] = [];
  for (let offset = 0; ; offset += PAGE) {
    const { status, body } = await postJson(`${platform.url}/api/v1/log/query`, {
      sql: `${sql} LIMIT ${PAGE} OFFSET ${offset}`,
      limit_rows: PAGE,
    });
    if (status !== 200) throw new Error(`the log cannot be asked: ${JSON.stringify(body)}`);
    const names = (body.columns as (string | { name: string })[]).map((column) =>
      typeof column === 'string' ? column : column.name,
    );
    const page = (body.rows as unknown[][]).map((row) =>
      Array.isArray(row) ? Object.fromEntries(names.map((name, i) => [name, row[i]])) : (row as never),
    );
    rows.push(...page);
    if (page.length < PAGE) return rows;
  }
}
