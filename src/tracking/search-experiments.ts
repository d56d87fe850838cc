import { type RawBuilder, sql } from 'kysely';
import type { DialectName, Tx } from '../platform/index.ts';
import { createExperimentStore } from './experiment-store.ts';
import { compareNumber, compareText, refused } from './filter-sql.ts';
import type { SearchPage } from './page-token.ts';
import { type Comparison, parseFilter, parseOrderTerm } from './parse-filter.ts';
import type { Experiment, LifecycleStage, TrackingDb } from './tables.ts';

export interface ExperimentSearch extends SearchPage {
  stages: LifecycleStage[];
}

const TIMES = ['creation_time', 'last_update_time'];
const ORDERS = ['name', 'experiment_id', ...TIMES];

/** Finds experiments by name, times and tags; the newest first unless an order is given. */
export async function searchExperiments(
  tx: Tx,
  dialect: DialectName,
  search: ExperimentSearch,
): Promise<{ experiments: Experiment[]; hasMore: boolean }> {
  const db = tx as TrackingDb;
  let query = db.selectFrom('experiments').selectAll().where('lifecycle_stage', 'in', search.stages);
  for (const comparison of parseFilter(search.filter)) query = query.where(conditionOf(dialect, comparison));
  const orders = search.orderBy.length > 0 ? search.orderBy : ['creation_time DESC'];
  for (const text of orders) {
    const term = parseOrderTerm(text);
    if (!ORDERS.includes(term.key)) throw refused(term, `experiments are ordered by ${ORDERS.join(', ')}`);
    query = query.orderBy(sql.ref(term.key), term.descending ? 'desc' : 'asc');
  }
  const rows = await query
    .orderBy('experiment_id', 'desc')
    .limit(search.limit + 1)
    .offset(search.offset)
    .execute();
  return {
    experiments: await createExperimentStore(tx).withTags(rows.slice(0, search.limit)),
    hasMore: rows.length > search.limit,
  };
}

function conditionOf(dialect: DialectName, comparison: Comparison): RawBuilder<boolean> {
  const { qualifier, key } = comparison;
  if (qualifier === 'tag' || qualifier === 'tags') {
    return sql<boolean>`exists (select 1 from experiment_tags t where t.experiment_id = experiments.experiment_id
      and t.key = ${key} and ${compareText(dialect, sql.ref('t.value'), comparison)})`;
  }
  if (qualifier === undefined || qualifier === 'attribute' || qualifier === 'attributes') {
    if (key === 'name') return compareText(dialect, sql.ref('experiments.name'), comparison);
    if (TIMES.includes(key)) return compareNumber(sql.ref(`experiments.${key}`), comparison);
  }
  throw refused(comparison, `experiments are searched by name, ${TIMES.join(', ')} and tags.<key>`);
}
