import { posix } from 'node:path';
import { ApiError } from '../platform/index.ts';
import type { KeyValue, Metric } from './tables.ts';

export const MAX_KEY_LENGTH = 250;
export const MAX_PARAM_VALUE_LENGTH = 6000;
export const MAX_TAG_VALUE_LENGTH = 8000;
export const MAX_EXPERIMENT_NAME_LENGTH = 500;
const MAX_BATCH = { metrics: 1000, params: 100, tags: 100, all: 1000 };

const KEY = /^[/\w.\- :]*$/;

/** What a batch, or one of the single routes, wants to log. */
export interface LoggedValues {
  metrics: Metric[];
  params: KeyValue[];
  tags: KeyValue[];
}

/** Refuses a name that could not be a file name below a run, as MLflow's file stores demand of every backend. */
export function checkKey(kind: 'metric' | 'param' | 'tag', key: string): void {
  if (key.length > 0 && key.length <= MAX_KEY_LENGTH && KEY.test(key) && isPlainPath(key)) return;
  if (key === '') throw invalid(`Invalid ${kind} name: '' is empty`);
  if (key.length > MAX_KEY_LENGTH) {
    throw invalid(
      `Invalid ${kind} name: '${key.slice(0, 40)}…' has ${key.length} characters, at most ${MAX_KEY_LENGTH} are allowed`,
    );
  }
  throw invalid(
    KEY.test(key)
      ? `Invalid ${kind} name: '${key}'. Names are treated as file paths and must be unique after normalization, so '${posix.normalize(key)}' would be right`
      : `Invalid ${kind} name: '${key}'. Names may only contain letters, digits, underscores, dashes, periods, spaces, colons and slashes`,
  );
}

function isPlainPath(key: string): boolean {
  if (!key.includes('/') && !key.startsWith('.')) return true;
  const normal = posix.normalize(key);
  return (
    normal === key &&
    normal !== '.' &&
    !normal.startsWith('..') &&
    !normal.startsWith('/') &&
    !normal.endsWith('/')
  );
}

/** ±Infinity is kept as the largest finite numbers, which every database and JSON can hold. */
export function storedMetricValue(value: number): number {
  if (value === Number.POSITIVE_INFINITY) return Number.MAX_VALUE;
  if (value === Number.NEGATIVE_INFINITY) return -Number.MAX_VALUE;
  return value;
}

/** Checks names and amounts, and cuts values that are too long, as MLflow does by default. */
export function checkLoggedValues(values: LoggedValues): LoggedValues {
  const amounts = { metrics: values.metrics.length, params: values.params.length, tags: values.tags.length };
  for (const kind of ['metrics', 'params', 'tags'] as const) {
    if (amounts[kind] > MAX_BATCH[kind]) {
      throw invalid(
        `A batch logging request can contain at most ${MAX_BATCH[kind]} ${kind}. Got ${amounts[kind]} ${kind}.`,
      );
    }
  }
  const all = amounts.metrics + amounts.params + amounts.tags;
  if (all > MAX_BATCH.all) {
    throw invalid(
      `A batch logging request can contain at most ${MAX_BATCH.all} metrics, params, and tags in all. Got ${all}.`,
    );
  }
  for (const metric of values.metrics) checkKey('metric', metric.key);
  const params = new Map<string, string>();
  for (const param of values.params) {
    checkKey('param', param.key);
    if (params.has(param.key)) throw invalid(`Duplicate parameter keys have been submitted: '${param.key}'`);
    params.set(param.key, param.value.slice(0, MAX_PARAM_VALUE_LENGTH));
  }
  const tags = new Map<string, string>();
  for (const tag of values.tags) {
    checkKey('tag', tag.key);
    tags.set(tag.key, tag.value.slice(0, MAX_TAG_VALUE_LENGTH));
  }
  return { metrics: values.metrics, params: toPairs(params), tags: toPairs(tags) };
}

const toPairs = (map: Map<string, string>) => [...map].map(([key, value]) => ({ key, value }));

const invalid = (message: string) => new ApiError('INVALID_PARAMETER_VALUE', message);
