import type { Command } from 'commander';
import { controlPlane, type HttpClient } from './http/http-client.ts';
import type { Act } from './terminal/act.ts';
import { CliError } from './terminal/cli-error.ts';
import { parseCount, withExamples, withUrl } from './terminal/options.ts';
import { showFirstMetrics } from './terminal/show-metrics.ts';
import { formatDuration, formatTime, type Terminal } from './terminal/terminal.ts';

interface Run {
  info: {
    run_id: string;
    run_name?: string;
    experiment_id: string;
    status: string;
    start_time?: number;
    end_time?: number;
    artifact_uri?: string;
  };
  data?: {
    metrics?: { key: string; value: number | string }[];
    params?: { key: string; value: string }[];
    tags?: { key: string; value: string }[];
  };
}

interface RunsOptions {
  experiment?: string;
  limit: number;
  url?: string;
}

export function configureRuns(command: Command, act: Act): void {
  command
    .argument('[run-id]', 'show this run; the first characters of its id are enough when no other begins so')
    .option('--experiment <name>', 'only the runs of this experiment')
    .option('--limit <count>', 'how many', parseCount, 20)
    .action(
      act(async (terminal, runId: string | undefined, options: RunsOptions) => {
        const client = controlPlane(options, terminal.io.env);
        if (runId !== undefined) {
          const run = await findRun(client, runId);
          terminal.document(run);
          showRun(terminal, run);
          return;
        }
        const experimentIds = await listExperiments(client, options.experiment);
        const runs = await searchRuns(client, experimentIds, options.limit);
        terminal.document({ runs });
        if (runs.length === 0) {
          terminal.line('No runs yet. Train a model: tidemill train FILE --target COLUMN --name NAME');
          return;
        }
        terminal.table(
          ['run', 'name', 'status', 'started', 'took', 'metrics'],
          runs.map((run) => [
            run.info.run_id.slice(0, 12),
            run.info.run_name,
            run.info.status,
            formatTime(run.info.start_time),
            took(run),
            showFirstMetrics(
              Object.fromEntries((run.data?.metrics ?? []).map(({ key, value }) => [key, value])),
            ),
          ]),
        );
      }),
    );
  withUrl(command);
  withExamples(command, [
    ['tidemill runs --experiment iris --limit 5', ''],
    ['tidemill runs 3f2a9c01d7e4', 'parameters, metrics, tags'],
  ]);
}

async function listExperiments(client: HttpClient, name: string | undefined): Promise<string[]> {
  if (name !== undefined) {
    const { experiment } = await client.get<{ experiment: { experiment_id: string } }>(
      '/api/2.0/mlflow/experiments/get-by-name',
      { experiment_name: name },
    );
    return [experiment.experiment_id];
  }
  const { experiments = [] } = await client.post<{ experiments?: { experiment_id: string }[] }>(
    '/api/2.0/mlflow/experiments/search',
    { max_results: 1000 },
  );
  return experiments.map(({ experiment_id }) => experiment_id);
}

async function searchRuns(client: HttpClient, experimentIds: string[], limit: number): Promise<Run[]> {
  if (experimentIds.length === 0) return [];
  const { runs = [] } = await client.post<{ runs?: Run[] }>('/api/2.0/mlflow/runs/search', {
    experiment_ids: experimentIds,
    max_results: limit,
    order_by: ['start_time DESC'],
  });
  return runs;
}

async function findRun(client: HttpClient, runId: string): Promise<Run> {
  if (runId.length === 32) {
    return (await client.get<{ run: Run }>('/api/2.0/mlflow/runs/get', { run_id: runId })).run;
  }
  const runs = await searchRuns(client, await listExperiments(client, undefined), 1000);
  const found = runs.filter(({ info }) => info.run_id.startsWith(runId));
  if (found[0] === undefined) throw new CliError(`no run among the newest 1000 begins with ${runId}`);
  if (found.length > 1) throw new CliError(`${found.length} runs begin with ${runId}: give more characters`);
  return found[0];
}

function showRun(terminal: Terminal, run: Run): void {
  const { colors } = terminal;
  terminal.line(`${colors.bold(run.info.run_name ?? run.info.run_id)}  ${run.info.status}`);
  terminal.line(`run ${run.info.run_id}, experiment ${run.info.experiment_id}`);
  terminal.line(`started ${formatTime(run.info.start_time)}, took ${took(run) ?? '-'}`);
  const show = (title: string, rows: { key: string; value: string | number }[] = []) => {
    if (rows.length === 0) return;
    terminal.line();
    terminal.table(
      [title, 'value'],
      rows.map(({ key, value }) => [key, typeof value === 'string' ? value.slice(0, 120) : value]),
    );
  };
  show('parameter', run.data?.params);
  show('metric', run.data?.metrics);
  show('tag', run.data?.tags);
}

function took({ info }: Run): string | undefined {
  return info.start_time && info.end_time ? formatDuration(info.end_time - info.start_time) : undefined;
}
