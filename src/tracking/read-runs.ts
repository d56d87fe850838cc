import type { Tx } from '../platform/index.ts';
import { toMetric } from './metric-store.ts';
import type { DatasetInput, KeyValue, Metric, Run, RunInfo, TrackingDb } from './tables.ts';

/** Ids per query: under the number of parameters that both databases take. */
const CHUNK = 5000;

/** Adds to each run its latest metrics, parameters, tags and dataset inputs, in a few queries for all of them. */
export async function readRuns(tx: Tx, infos: RunInfo[]): Promise<Run[]> {
  const db = tx as TrackingDb;
  const runs = new Map<string, Run>();
  for (const info of infos) {
    runs.set(info.runId, { info, metrics: [], params: [], tags: [], datasetInputs: [] });
  }
  const ids = [...runs.keys()];
  for (let start = 0; start < ids.length; start += CHUNK) {
    const chunk = ids.slice(start, start + CHUNK);
    const [metrics, params, tags, datasets, datasetTags] = await Promise.all([
      db
        .selectFrom('latest_metrics')
        .selectAll()
        .where('run_id', 'in', chunk)
        .orderBy('run_id')
        .orderBy('key')
        .execute(),
      db
        .selectFrom('params')
        .selectAll()
        .where('run_id', 'in', chunk)
        .orderBy('run_id')
        .orderBy('key')
        .execute(),
      db
        .selectFrom('tags')
        .selectAll()
        .where('run_id', 'in', chunk)
        .orderBy('run_id')
        .orderBy('key')
        .execute(),
      db
        .selectFrom('run_datasets')
        .innerJoin('logged_datasets', 'logged_datasets.dataset_id', 'run_datasets.dataset_id')
        .selectAll()
        .where('run_datasets.run_id', 'in', chunk)
        .orderBy('logged_datasets.name')
        .orderBy('logged_datasets.digest')
        .execute(),
      db.selectFrom('run_dataset_tags').selectAll().where('run_id', 'in', chunk).orderBy('key').execute(),
    ]);
    for (const row of metrics) runs.get(row.run_id)?.metrics.push(toMetric(row) satisfies Metric);
    for (const row of params) runs.get(row.run_id)?.params.push(pair(row));
    for (const row of tags) runs.get(row.run_id)?.tags.push(pair(row));
    for (const row of datasets) {
      const tagged = datasetTags.filter(
        (tag) => tag.run_id === row.run_id && tag.dataset_id === row.dataset_id,
      );
      runs.get(row.run_id)?.datasetInputs.push({
        name: row.name,
        digest: row.digest,
        sourceType: row.source_type,
        source: row.source,
        schema: row.schema ?? undefined,
        profile: row.profile ?? undefined,
        tags: tagged.map(pair),
      } satisfies DatasetInput);
    }
  }
  return [...runs.values()];
}

const pair = ({ key, value }: KeyValue): KeyValue => ({ key, value });
