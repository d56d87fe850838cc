import { randomUUID } from 'node:crypto';
import { ApiError, type Clock, type Database } from '../platform/index.ts';
import { checkKey, checkLoggedValues } from './check-logged-values.ts';
import {
  createRun,
  deleteRunTag,
  logBatch,
  logDatasetInputs,
  logMetric,
  setRunStage,
  updateRun,
} from './commands.ts';
import * as contract from './contract.ts';
import { STAGES_BY_VIEW } from './experiment-routes.ts';
import { createMetricStore } from './metric-store.ts';
import { type MlflowRoute, mlflowRoute } from './mlflow-protocol.ts';
import { decodePageToken, nextPageToken, readSearchPage } from './page-token.ts';
import { readRuns } from './read-runs.ts';
import { randomRunName } from './run-names.ts';
import { createRunStore, RUN_NAME_TAG } from './run-store.ts';
import { searchRuns } from './search-runs.ts';
import type { KeyValue, Metric } from './tables.ts';
import {
  readExperimentId,
  readRunId,
  toWireMetric,
  toWireRun,
  toWireRunInfo,
  unlessEmpty,
} from './wire-format.ts';

export function runRoutes(deps: { database: Database; clock: Clock; random: () => number }): MlflowRoute[] {
  const { database, clock, random } = deps;
  const runs = createRunStore(database.reader);
  const metrics = createMetricStore(database.reader);

  async function readRun(runId: string) {
    const [run] = await readRuns(database.reader, [await runs.get(runId)]);
    return toWireRun(run as NonNullable<typeof run>);
  }

  async function log(runId: string, values: { metrics?: Metric[]; params?: KeyValue[]; tags?: KeyValue[] }) {
    const checked = checkLoggedValues({ metrics: [], params: [], tags: [], ...values });
    await database.execute(logBatch, { runId, ...checked });
    return {};
  }

  return [
    mlflowRoute({
      method: 'POST',
      path: '/runs/create',
      summary: 'Start a run',
      request: contract.createRunRequest,
      response: contract.runResponse,
      async handle(input) {
        const runId = randomUUID().replaceAll('-', '');
        const { tags } = checkLoggedValues({ metrics: [], params: [], tags: input.tags });
        const tagged = tags.find((tag) => tag.key === RUN_NAME_TAG)?.value;
        if (tagged && input.run_name && tagged !== input.run_name) {
          throw new ApiError(
            'INVALID_PARAMETER_VALUE',
            `Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values (run_name='${input.run_name}', mlflow.runName='${tagged}').`,
          );
        }
        await database.execute(createRun, {
          runId,
          experimentId: readExperimentId(input.experiment_id || '0'),
          runName: input.run_name || tagged || randomRunName(random),
          userId: input.user_id,
          startTime: input.start_time ?? clock.now(),
          tags,
        });
        return { run: await readRun(runId) };
      },
    }),
    mlflowRoute({
      method: 'POST',
      path: '/runs/update',
      summary: "Set a run's status, end time or name",
      request: contract.updateRunRequest,
      response: contract.updateRunResponse,
      async handle(input) {
        const info = await database.execute(updateRun, {
          runId: readRunId(input),
          status: input.status,
          endTime: input.end_time,
          runName: input.run_name,
        });
        return { run_info: toWireRunInfo(info) };
      },
    }),
    mlflowRoute({
      method: 'GET',
      path: '/runs/get',
      summary: 'Get a run with its latest metrics, parameters, tags and inputs',
      request: contract.runIdRequest,
      response: contract.runResponse,
      handle: async (input) => ({ run: await readRun(readRunId(input)) }),
    }),
    ...(['delete', 'restore'] as const).map((action) =>
      mlflowRoute({
        method: 'POST',
        path: `/runs/${action}`,
        summary: action === 'delete' ? 'Delete a run; it stays readable' : 'Restore a deleted run',
        request: contract.runIdRequest,
        response: contract.emptyResponse,
        async handle(input) {
          const stage = action === 'delete' ? 'deleted' : 'active';
          await database.execute(setRunStage, { runId: readRunId(input), stage, now: clock.now() });
          return {};
        },
      }),
    ),
    mlflowRoute({
      method: 'POST',
      path: '/runs/log-metric',
      summary: 'Log one point of a metric',
      request: contract.logMetricRequest,
      response: contract.emptyResponse,
      hot: true,
      async handle(input) {
        checkKey('metric', input.key);
        await database.execute(logMetric, {
          runId: readRunId(input),
          metric: { key: input.key, value: input.value, timestamp: input.timestamp, step: input.step },
        });
        return '{}';
      },
    }),
    mlflowRoute({
      method: 'POST',
      path: '/runs/log-batch',
      summary: 'Log metrics, parameters and tags, all or nothing',
      request: contract.logBatchRequest,
      response: contract.emptyResponse,
      handle: (input) =>
        log(readRunId(input), { metrics: input.metrics, params: input.params, tags: input.tags }),
    }),
    mlflowRoute({
      method: 'POST',
      path: '/runs/log-parameter',
      summary: 'Log a parameter, once',
      request: contract.logParamRequest,
      response: contract.emptyResponse,
      handle: (input) => log(readRunId(input), { params: [{ key: input.key, value: input.value }] }),
    }),
    mlflowRoute({
      method: 'POST',
      path: '/runs/set-tag',
      summary: 'Set a tag of a run',
      request: contract.setTagRequest,
      response: contract.emptyResponse,
      handle: (input) => log(readRunId(input), { tags: [{ key: input.key, value: input.value }] }),
    }),
    mlflowRoute({
      method: 'POST',
      path: '/runs/delete-tag',
      summary: 'Delete a tag of a run',
      request: contract.deleteTagRequest,
      response: contract.emptyResponse,
      async handle(input) {
        await database.execute(deleteRunTag, { runId: readRunId(input), key: input.key });
        return {};
      },
    }),
    mlflowRoute({
      method: 'POST',
      path: '/runs/log-inputs',
      summary: 'Say which data a run used',
      request: contract.logInputsRequest,
      response: contract.emptyResponse,
      async handle(input) {
        await database.execute(logDatasetInputs, {
          runId: readRunId(input),
          inputs: input.datasets.map(({ dataset, tags = [] }) => ({
            name: dataset.name,
            digest: dataset.digest,
            sourceType: dataset.source_type,
            source: dataset.source,
            schema: dataset.schema,
            profile: dataset.profile,
            tags,
          })),
        });
        return {};
      },
    }),
    mlflowRoute({
      method: 'POST',
      path: '/runs/search',
      summary: 'Search runs',
      request: contract.searchRunsRequest,
      response: contract.searchRunsResponse,
      async handle(input) {
        const page = readSearchPage(input);
        const found = await searchRuns(database.reader, database.dialect, {
          experimentIds: input.experiment_ids.map(readExperimentId),
          stages: STAGES_BY_VIEW[input.run_view_type],
          ...page,
        });
        const wanted = await readRuns(database.reader, found.infos);
        return {
          runs: unlessEmpty(wanted.map(toWireRun)),
          next_page_token: nextPageToken(page, found.hasMore),
        };
      },
    }),
    mlflowRoute({
      method: 'GET',
      path: '/metrics/get-history',
      summary: 'Get every logged point of a metric',
      request: contract.metricHistoryRequest,
      response: contract.metricHistoryResponse,
      async handle(input) {
        const offset = decodePageToken(input.page_token);
        const { runId } = await runs.get(readRunId(input));
        const found = await metrics.history(runId, input.metric_key, {
          limit: input.max_results,
          after: offset,
        });
        return {
          metrics: unlessEmpty(found.metrics.map(toWireMetric)),
          next_page_token: nextPageToken({ offset, limit: input.max_results }, found.hasMore),
        };
      },
    }),
  ];
}
