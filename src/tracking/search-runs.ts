import { type RawBuilder, sql } from 'kysely';
import { ApiError, type DialectName, type Tx } from '../platform/index.ts';
import { compareNumber, compareText, refused } from './filter-sql.ts';
import type { SearchPage } from './page-token.ts';
import { type Comparison, type OrderTerm, parseFilter, parseOrderTerm } from './parse-filter.ts';
import { toRunInfo } from './run-store.ts';
import type { LifecycleStage, RunInfo, TrackingDb } from './tables.ts';

export interface RunSearch extends SearchPage {
  experimentIds: number[];
  /** Runs of other lifecycle stages are left out. */
  stages: LifecycleStage[];
}

const ENTITIES: Record<string, 'metric' | 'param' | 'tag' | 'attribute' | 'dataset'> = {
  metric: 'metric',
  metrics: 'metric',
  param: 'param',
  params: 'param',
  parameter: 'param',
  parameters: 'param',
  tag: 'tag',
  tags: 'tag',
  attr: 'attribute',
  attribute: 'attribute',
  attributes: 'attribute',
  run: 'attribute',
  dataset: 'dataset',
  datasets: 'dataset',
};

const TEXT_ATTRIBUTES = ['run_id', 'run_name', 'user_id', 'status', 'artifact_uri'];
const NUMBER_ATTRIBUTES = ['start_time', 'end_time'];
const ATTRIBUTE_ALIASES: Record<string, string> = {
  created: 'start_time',
  Created: 'start_time',
  'run name': 'run_name',
  'Run name': 'run_name',
  'Run Name': 'run_name',
  run_uuid: 'run_id',
};

/** Finds runs by a filter in MLflow's language. `hasMore` tells whether another page follows. */
export async function searchRuns(
  tx: Tx,
  dialect: DialectName,
  search: RunSearch,
): Promise<{ infos: RunInfo[]; hasMore: boolean }> {
  const db = tx as TrackingDb;
  // Both are read before the early return, so that a broken filter is an error everywhere.
  const conditions = parseFilter(search.filter).map((each) => conditionOf(dialect, each));
  const orders = search.orderBy.map((term) => parseOrderTerm(term));
  if (search.experimentIds.length === 0 || search.stages.length === 0) return { infos: [], hasMore: false };

  let query = db
    .selectFrom('runs')
    .selectAll('runs')
    .where('runs.experiment_id', 'in', search.experimentIds)
    .where('runs.lifecycle_stage', 'in', search.stages);
  for (const condition of conditions) query = query.where(condition);
  for (const term of orders) for (const order of orderOf(term)) query = query.orderBy(order);
  const rows = await query
    .orderBy('runs.start_time', 'desc')
    .orderBy('runs.run_id')
    .limit(search.limit + 1)
    .offset(search.offset)
    .execute();
  return { infos: rows.slice(0, search.limit).map(toRunInfo), hasMore: rows.length > search.limit };
}

function conditionOf(dialect: DialectName, comparison: Comparison): RawBuilder<boolean> {
  const entity = entityOf(comparison);
  const { key, operator } = comparison;
  switch (entity) {
    case 'metric': {
      const value = sql`case when m.is_nan = 1 then null else m.value end`;
      return sql<boolean>`exists (select 1 from latest_metrics m where m.run_id = runs.run_id and m.key = ${key}
        and ${compareNumber(value, comparison)})`;
    }
    case 'param':
    case 'tag': {
      const table = sql.table(entity === 'param' ? 'params' : 'tags');
      if (operator === 'IS NULL' || operator === 'IS NOT NULL') {
        const has = sql<boolean>`exists (select 1 from ${table} t where t.run_id = runs.run_id and t.key = ${key})`;
        return operator === 'IS NULL' ? sql<boolean>`not ${has}` : has;
      }
      return sql<boolean>`exists (select 1 from ${table} t where t.run_id = runs.run_id and t.key = ${key}
        and ${compareText(dialect, sql.ref('t.value'), comparison)})`;
    }
    case 'attribute': {
      const attribute = attributeOf(comparison);
      const column = sql.ref(`runs.${attribute}`);
      if (NUMBER_ATTRIBUTES.includes(attribute)) return compareNumber(column, comparison);
      if ((operator === 'IN' || operator === 'NOT IN') && attribute !== 'run_id') {
        throw refused(comparison, `only run_id is searched by ${operator}`);
      }
      return compareText(dialect, column, comparison);
    }
    case 'dataset': {
      if (key === 'context') {
        return sql<boolean>`exists (select 1 from run_dataset_tags t where t.run_id = runs.run_id
          and t.key = 'mlflow.data.context' and ${compareText(dialect, sql.ref('t.value'), comparison)})`;
      }
      if (key !== 'name' && key !== 'digest') {
        throw refused(comparison, 'datasets are searched by dataset.name, dataset.digest or dataset.context');
      }
      return sql<boolean>`exists (select 1 from run_datasets r
        join logged_datasets d on d.dataset_id = r.dataset_id
        where r.run_id = runs.run_id and ${compareText(dialect, sql.ref(`d.${key}`), comparison)})`;
    }
  }
}

/** Numbers first in the order asked for, then NaN, then runs without the key, whatever the direction. */
function orderOf(term: OrderTerm): RawBuilder<unknown>[] {
  const direction = sql.raw(term.descending ? 'desc' : 'asc');
  const entity = entityOf(term);
  switch (entity) {
    case 'metric': {
      const one = (what: string) =>
        sql`(select ${sql.raw(what)} from latest_metrics m where m.run_id = runs.run_id and m.key = ${term.key})`;
      return [sql`coalesce(${one('m.is_nan')}, 2)`, sql`${one('m.value')} ${direction}`];
    }
    case 'param':
    case 'tag': {
      const table = sql.table(entity === 'param' ? 'params' : 'tags');
      const value = sql`(select t.value from ${table} t where t.run_id = runs.run_id and t.key = ${term.key})`;
      return [sql`case when ${value} is null then 1 else 0 end`, sql`${value} ${direction}`];
    }
    case 'attribute': {
      const column = sql.ref(`runs.${attributeOf(term)}`);
      return [sql`case when ${column} is null then 1 else 0 end`, sql`${column} ${direction}`];
    }
    case 'dataset':
      throw new ApiError(
        'INVALID_PARAMETER_VALUE',
        `Invalid order_by 'dataset.${term.key}': runs are not ordered by datasets`,
      );
  }
}

function entityOf(name: { qualifier: string | undefined; key: string }) {
  if (name.qualifier === undefined) return 'attribute';
  const entity = Object.hasOwn(ENTITIES, name.qualifier) ? ENTITIES[name.qualifier] : undefined;
  if (entity === undefined) {
    throw refused(name, `'${name.qualifier}' is none of metrics, params, tags, attributes, dataset`);
  }
  return entity;
}

function attributeOf(name: { qualifier: string | undefined; key: string }): string {
  const attribute = (Object.hasOwn(ATTRIBUTE_ALIASES, name.key) && ATTRIBUTE_ALIASES[name.key]) || name.key;
  if (TEXT_ATTRIBUTES.includes(attribute) || NUMBER_ATTRIBUTES.includes(attribute)) return attribute;
  throw refused(name, `the attributes of a run are ${[...TEXT_ATTRIBUTES, ...NUMBER_ATTRIBUTES].join(', ')}`);
}
