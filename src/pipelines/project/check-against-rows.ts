import { createDatasetStore, type DatasetVersion, datasetKey, unknownColumn } from '../../datasets/index.ts';
import { ApiError } from '../../platform/index.ts';
import type { PipelineDeps } from '../pipeline-deps.ts';
import { datasetOf } from '../retraining/retrain-input.ts';
import type { StepRunner } from '../retraining/step-tasks.ts';
import type { ModelProject } from './project-schema.ts';

const TARGET_TIMEOUT_MS = 60_000;

interface CheckedModel extends Pick<PipelineDeps, 'database' | 'artifacts'> {
  name: string;
  config: ModelProject;
  runner: StepRunner;
}

/**
 * Checks what only the rows can tell: the dataset is there, and target, columns and derived columns fit it.
 *
 * @throws ApiError
 */
export async function checkAgainstRows(given: CheckedModel): Promise<void> {
  const { database, name, config } = given;
  const { features = {}, data } = config;
  const { parseFeatures } = await import('../../features/index.ts');
  const version = await createDatasetStore(database.reader).getVersion(datasetOf(name, config), 'latest');
  const { schema } = version;
  parseFeatures(features, schema);
  const names = schema.map((column) => column.name);
  for (const key of ['id', 'time'] as const) {
    const column = data[key];
    if (column !== undefined && !names.includes(column)) throw unknownColumn(column, names, `data.${key}`);
  }
  for (const column of data.ignore ?? []) {
    if (!names.includes(column) && !Object.hasOwn(features, column))
      throw unknownColumn(column, names, 'data.ignore');
  }
  await checkTarget(given, version, names);
}

/** A plain column is told by its name; only an expression is worth asking a step process. */
async function checkTarget(
  { config, artifacts, runner }: CheckedModel,
  version: DatasetVersion,
  names: string[],
): Promise<void> {
  const { target } = config.data;
  const column = version.schema.find((each) => each.name === target);
  if (column !== undefined && column.type !== 'datetime') return;
  const lower = target.trim().toLowerCase();
  if (/^[\p{L}_][\p{L}\p{N}_]*$/u.test(lower) && !names.some((each) => each.toLowerCase() === lower))
    throw unknownColumn(target, names, 'data.target');
  const input = {
    parquetPath: await artifacts.localPath(datasetKey(version)),
    schema: version.schema,
    target,
  };
  try {
    await runner.run({ name: 'plan-target', input }, { timeoutMs: TARGET_TIMEOUT_MS });
  } catch (error) {
    // A process that dies says nothing about the target: the retraining tries it again.
    if (error instanceof ApiError && error.code === 'INVALID_PARAMETER_VALUE') throw error;
  }
}
