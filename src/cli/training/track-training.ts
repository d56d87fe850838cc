import { createReadStream } from 'node:fs';
import { userInfo } from 'node:os';
import type { MetricPoint, RunRecorder, RunStart } from '../../training/index.ts';
import type { HttpClient } from '../http/http-client.ts';
import { CliError } from '../terminal/cli-error.ts';

const API = '/api/2.0/mlflow';
const METRICS_PER_BATCH = 1000;
const PARAMS_PER_BATCH = 100;
const PARAM_LENGTH = 6000;
const TAG_LENGTH = 5000;

/** Finds the experiment by its name, or makes it. */
export async function findExperiment(client: HttpClient, name: string): Promise<string> {
  try {
    const { experiment } = await client.get<{ experiment: { experiment_id: string } }>(
      `${API}/experiments/get-by-name`,
      { experiment_name: name },
    );
    return experiment.experiment_id;
  } catch (error) {
    if (!isCode(error, 'RESOURCE_DOES_NOT_EXIST')) throw error;
  }
  try {
    return (await client.post<{ experiment_id: string }>(`${API}/experiments/create`, { name }))
      .experiment_id;
  } catch (error) {
    // Another training made it in between.
    if (!isCode(error, 'RESOURCE_ALREADY_EXISTS')) throw error;
    return findExperiment(client, name);
  }
}

/** Starts a run on the control plane: what is known before the training is there from its beginning. */
export async function startRun(
  client: HttpClient,
  experimentId: string,
  start: RunStart,
): Promise<RunRecorder> {
  const created = await client.post<{ run: { info: { run_id: string } } }>(`${API}/runs/create`, {
    experiment_id: experimentId,
    start_time: start.startTime,
    user_id: userInfo().username,
    tags: toPairs(start.tags, TAG_LENGTH),
  });
  const runId = created.run.info.run_id;
  for (const params of chunk(toPairs(start.params, PARAM_LENGTH), PARAMS_PER_BATCH)) {
    await client.post(`${API}/runs/log-batch`, { run_id: runId, params });
  }
  const { name, digest, source, schema, rows } = start.dataset;
  const dataset = {
    name,
    digest,
    source_type: 'tidemill',
    source,
    schema: JSON.stringify(schema),
    profile: JSON.stringify({ num_rows: rows }),
  };
  const tags = [{ key: 'mlflow.data.context', value: 'training' }];
  await client.post(`${API}/runs/log-inputs`, { run_id: runId, datasets: [{ dataset, tags }] });

  return {
    runId,

    async logMetrics(points: MetricPoint[]) {
      const metrics = points.map(({ value, ...point }) => ({
        ...point,
        value: Number.isNaN(value) ? 'NaN' : value,
      }));
      for (const part of chunk(metrics, METRICS_PER_BATCH)) {
        await client.post(`${API}/runs/log-batch`, { run_id: runId, metrics: part });
      }
    },

    async logArtifact(path, body) {
      const key = `${experimentId}/${runId}/artifacts/${path}`.split('/').map(encodeURIComponent).join('/');
      const stream = typeof body === 'string' ? createReadStream(body) : body;
      await client.upload('PUT', `/api/2.0/mlflow-artifacts/artifacts/${key}`, stream);
    },

    async finish({ status, endTime, reason }) {
      if (reason !== undefined) {
        await client.post(`${API}/runs/set-tag`, {
          run_id: runId,
          key: 'tidemill.reason',
          value: reason.slice(0, TAG_LENGTH),
        });
      }
      await client.post(`${API}/runs/update`, { run_id: runId, status, end_time: endTime });
    },
  };
}

/** Registers a run's model as the next version, and the model itself when it is the first. */
export async function registerVersion(
  client: HttpClient,
  experimentId: string,
  version: {
    name: string;
    runId: string;
    artifactPath: string;
    description: string;
    tags: Record<string, string>;
  },
): Promise<{ version: string }> {
  const { name, runId, artifactPath, description, tags } = version;
  try {
    await client.post(`${API}/registered-models/create`, { name });
  } catch (error) {
    if (!isCode(error, 'RESOURCE_ALREADY_EXISTS')) throw error;
  }
  const { model_version } = await client.post<{ model_version: { version: string } }>(
    `${API}/model-versions/create`,
    {
      name,
      source: `mlflow-artifacts:/${experimentId}/${runId}/artifacts/${artifactPath}`,
      run_id: runId,
      description,
      tags: toPairs(tags, TAG_LENGTH),
    },
  );
  return { version: String(model_version.version) };
}

function toPairs(values: Record<string, unknown>, length: number): { key: string; value: string }[] {
  return Object.entries(values).map(([key, value]) => ({ key, value: String(value).slice(0, length) }));
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof CliError && error.code === code;
}

function chunk<T>(items: T[], size: number): T[][] {
  const parts: T[][] = [];
  for (let at = 0; at < items.length; at += size) parts.push(items.slice(at, at + size));
  return parts;
}
