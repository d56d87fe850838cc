import { createReadStream } from 'node:fs';
import { userInfo } from 'node:os';
import { CliError } from './cli-error.ts';
import type { HttpClient } from './http-client.ts';

/** What a training leaves behind, as the control plane keeps it. */
export interface RecordedRun {
  startTime: number;
  endTime: number;
  params: Record<string, string | number | boolean>;
  metrics: Record<string, number>;
  /** The course of a metric during training. */
  steps: { key: string; value: number; step: number; timestamp: number }[];
  tags: Record<string, string>;
  dataset: { name: string; digest: string; source: string; schema: unknown; rows: number };
  /** Bytes, or a file's path, below the run. */
  artifacts: { path: string; body: Uint8Array | string }[];
}

const API = '/api/2.0/mlflow';
const METRICS_PER_BATCH = 1000;
const PARAMS_PER_BATCH = 100;
const PARAM_LENGTH = 6000;

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

/** Writes a run with everything that belongs to it; it is finished when this settles. */
export async function recordRun(
  client: HttpClient,
  experimentId: string,
  run: RecordedRun,
): Promise<{ runId: string; experimentId: string }> {
  const created = await client.post<{ run: { info: { run_id: string } } }>(`${API}/runs/create`, {
    experiment_id: experimentId,
    start_time: run.startTime,
    user_id: userInfo().username,
    tags: Object.entries(run.tags).map(([key, value]) => ({ key, value })),
  });
  const runId = created.run.info.run_id;
  try {
    const params = Object.entries(run.params).map(([key, value]) => ({
      key,
      value: String(value).slice(0, PARAM_LENGTH),
    }));
    for (const part of chunk(params, PARAMS_PER_BATCH)) {
      await client.post(`${API}/runs/log-batch`, { run_id: runId, params: part });
    }
    const last = Object.entries(run.metrics).map(([key, value]) => ({
      key,
      value: Number.isNaN(value) ? 'NaN' : value,
      timestamp: run.endTime,
      step: 0,
    }));
    for (const part of chunk([...run.steps, ...last], METRICS_PER_BATCH)) {
      await client.post(`${API}/runs/log-batch`, { run_id: runId, metrics: part });
    }
    const { name, digest, source, schema, rows } = run.dataset;
    await client.post(`${API}/runs/log-inputs`, {
      run_id: runId,
      datasets: [
        {
          dataset: {
            name,
            digest,
            source_type: 'tidemill',
            source,
            schema: JSON.stringify(schema),
            profile: JSON.stringify({ num_rows: rows }),
          },
          tags: [{ key: 'mlflow.data.context', value: 'training' }],
        },
      ],
    });
    for (const { path, body } of run.artifacts) {
      const key = `${experimentId}/${runId}/artifacts/${path}`.split('/').map(encodeURIComponent).join('/');
      const stream = typeof body === 'string' ? createReadStream(body) : body;
      await client.upload('PUT', `/api/2.0/mlflow-artifacts/artifacts/${key}`, stream);
    }
    await client.post(`${API}/runs/update`, { run_id: runId, status: 'FINISHED', end_time: run.endTime });
  } catch (error) {
    // The failure that matters is the first one.
    await client
      .post(`${API}/runs/update`, { run_id: runId, status: 'FAILED', end_time: run.endTime })
      .catch(() => {});
    throw error;
  }
  return { runId, experimentId };
}

/** Registers the run's model as the next version, and the model itself when it is the first. */
export async function registerVersion(
  client: HttpClient,
  {
    name,
    runId,
    experimentId,
    description,
    tags = {},
  }: {
    name: string;
    runId: string;
    experimentId: string;
    description?: string;
    tags?: Record<string, string>;
  },
): Promise<{ version: string }> {
  try {
    await client.post(`${API}/registered-models/create`, { name });
  } catch (error) {
    if (!isCode(error, 'RESOURCE_ALREADY_EXISTS')) throw error;
  }
  const { model_version } = await client.post<{ model_version: { version: string } }>(
    `${API}/model-versions/create`,
    {
      name,
      source: `mlflow-artifacts:/${experimentId}/${runId}/artifacts/model`,
      run_id: runId,
      ...(description !== undefined && { description }),
      tags: Object.entries(tags).map(([key, value]) => ({ key, value })),
    },
  );
  return { version: String(model_version.version) };
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof CliError && error.code === code;
}

function chunk<T>(items: T[], size: number): T[][] {
  const parts: T[][] = [];
  for (let at = 0; at < items.length; at += size) parts.push(items.slice(at, at + size));
  return parts;
}
