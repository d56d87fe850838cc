import { type RawBuilder, sql } from 'kysely';
import type { DialectName, Tx } from '../platform/index.ts';
import {
  type Comparison,
  compareNumber,
  compareText,
  parseFilter,
  parseOrderTerm,
  refused,
  type SearchPage,
} from '../tracking/index.ts';
import { createModelVersionStore } from './model-version-store.ts';
import { createRegisteredModelStore } from './registered-model-store.ts';
import type { ModelVersion, RegisteredModel, RegistryDb } from './tables.ts';

/** What MLflow's clients add to every search of models; a model without this tag is no prompt. */
const PROMPT_TAG = 'mlflow.prompt.is_prompt';

const MODEL_ORDERS: Record<string, string> = {
  name: 'name',
  timestamp: 'last_updated_time',
  last_updated_timestamp: 'last_updated_time',
  creation_timestamp: 'creation_time',
};
const VERSION_ORDERS: Record<string, string> = { ...MODEL_ORDERS, version_number: 'version' };

/** Finds registered models by name and tags. */
export async function searchRegisteredModels(
  tx: Tx,
  dialect: DialectName,
  search: SearchPage,
): Promise<{ models: RegisteredModel[]; hasMore: boolean }> {
  const db = tx as RegistryDb;
  let query = db.selectFrom('registered_models').selectAll();
  for (const comparison of parseFilter(search.filter)) {
    query = query.where(modelCondition(dialect, comparison));
  }
  for (const term of search.orderBy) query = query.orderBy(orderOf(term, MODEL_ORDERS, 'registered models'));
  const rows = await query
    .orderBy('name')
    .limit(search.limit + 1)
    .offset(search.offset)
    .execute();
  return {
    models: await createRegisteredModelStore(tx).withDetails(rows.slice(0, search.limit)),
    hasMore: rows.length > search.limit,
  };
}

/** Finds versions of all models by name, source, run, number and tags. */
export async function searchModelVersions(
  tx: Tx,
  dialect: DialectName,
  search: SearchPage,
): Promise<{ versions: ModelVersion[]; hasMore: boolean }> {
  const db = tx as RegistryDb;
  let query = db.selectFrom('model_versions').selectAll();
  for (const comparison of parseFilter(search.filter)) {
    query = query.where(versionCondition(dialect, comparison));
  }
  for (const term of search.orderBy) query = query.orderBy(orderOf(term, VERSION_ORDERS, 'model versions'));
  const rows = await query
    .orderBy('last_updated_time', 'desc')
    .orderBy('name')
    .orderBy('version', 'desc')
    .limit(search.limit + 1)
    .offset(search.offset)
    .execute();
  return {
    versions: await createModelVersionStore(tx).withDetails(rows.slice(0, search.limit)),
    hasMore: rows.length > search.limit,
  };
}

function modelCondition(dialect: DialectName, comparison: Comparison): RawBuilder<boolean> {
  if (isTag(comparison)) {
    const tags = sql`from registered_model_tags t where t.name = registered_models.name`;
    return tagCondition(dialect, comparison, tags);
  }
  if (isPlain(comparison) && comparison.key === 'name') {
    return compareText(dialect, sql.ref('registered_models.name'), comparison);
  }
  throw refused(comparison, 'registered models are searched by name and tags.<key>');
}

function versionCondition(dialect: DialectName, comparison: Comparison): RawBuilder<boolean> {
  if (isTag(comparison)) {
    const tags = sql`from model_version_tags t where t.name = model_versions.name
      and t.version = model_versions.version`;
    return tagCondition(dialect, comparison, tags);
  }
  if (isPlain(comparison)) {
    if (comparison.key === 'name' || comparison.key === 'run_id') {
      return compareText(dialect, sql.ref(`model_versions.${comparison.key}`), comparison);
    }
    if (comparison.key === 'source_path') {
      return compareText(dialect, sql.ref('model_versions.source'), comparison);
    }
    if (comparison.key === 'version_number')
      return compareNumber(sql.ref('model_versions.version'), comparison);
  }
  throw refused(
    comparison,
    'model versions are searched by name, run_id, source_path, version_number and tags.<key>',
  );
}

function tagCondition(
  dialect: DialectName,
  comparison: Comparison,
  tags: RawBuilder<unknown>,
): RawBuilder<boolean> {
  const { key, operator } = comparison;
  const has = sql<boolean>`exists (select 1 ${tags} and t.key = ${key})`;
  if (operator === 'IS NULL') return sql<boolean>`not ${has}`;
  if (operator === 'IS NOT NULL') return has;
  const matches = sql<boolean>`exists (select 1 ${tags} and t.key = ${key}
    and ${compareText(dialect, sql.ref('t.value'), comparison)})`;
  return key === PROMPT_TAG && operator === '!=' ? sql<boolean>`(not ${has} or ${matches})` : matches;
}

const isTag = ({ qualifier }: Comparison) => qualifier === 'tag' || qualifier === 'tags';
const isPlain = ({ qualifier }: Comparison) =>
  qualifier === undefined || qualifier === 'attribute' || qualifier === 'attributes';

function orderOf(text: string, orders: Record<string, string>, what: string): RawBuilder<unknown> {
  const term = parseOrderTerm(text);
  const column = Object.hasOwn(orders, term.key) ? orders[term.key] : undefined;
  if (column === undefined) throw refused(term, `${what} are ordered by ${Object.keys(orders).join(', ')}`);
  return sql`${sql.ref(column)} ${sql.raw(term.descending ? 'desc' : 'asc')}`;
}
