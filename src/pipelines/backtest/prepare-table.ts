import { join } from 'node:path';
import {
  composeTable,
  type DatasetColumn,
  ingestFile,
  planTraining,
  type TrainingPlan,
} from '../../datasets/index.ts';
import { ApiError } from '../../platform/index.ts';
import type { BacktestRequest } from './backtest-request.ts';
import type { ReplayTable } from './replay-tasks.ts';

/** One table of all files, in the order of time, with the target as a column. */
export async function prepareTable(
  { config, files, model, signal }: BacktestRequest,
  folder: string,
): Promise<{ table: ReplayTable; plan: TrainingPlan }> {
  const { data } = config;
  if (data.time === undefined) {
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `A backtest goes by time, and nothing says when a row of ${model} happened: name that column in models.${model}.data.time`,
    );
  }
  const sources: { parquetPath: string }[] = [];
  let schema: DatasetColumn[] | undefined;
  for (const [index, { path, format }] of files.entries()) {
    const outPath = join(folder, `source-${index}.parquet`);
    const { id, time, text } = data;
    const ingested = await ingestFile({ path, outPath, format, id, time, text, signal } as Parameters<
      typeof ingestFile
    >[0]);
    sources.push({ parquetPath: outPath });
    schema ??= ingested.schema;
  }
  const composed = await composeTable({
    sources,
    schema: schema as DatasetColumn[],
    target: data.target,
    time: data.time,
    ...(data.id !== undefined && { id: data.id }),
    outPath: join(folder, 'table.parquet'),
    signal,
  });
  const plan = await planTraining({
    parquetPath: composed.path,
    schema: composed.schema,
    target: composed.targetName,
    signal,
  } as Parameters<typeof planTraining>[0]);
  return {
    table: {
      parquetPath: composed.path,
      name: model,
      schema: composed.schema,
      target: composed.targetName,
      time: data.time,
      ...(data.id !== undefined && { id: data.id }),
    },
    plan,
  };
}
