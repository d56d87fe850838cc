import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { createHttpClient, type HttpClient } from './http/http-client.ts';
import { type LoadResult, measureLoad } from './http/measure-load.ts';
import { whichOnes } from './http/which-ones.ts';
import type { Act } from './terminal/act.ts';
import { CliError, usageError } from './terminal/cli-error.ts';
import { interruption } from './terminal/interruption.ts';
import { parseCounts, parseSeconds, withExamples } from './terminal/options.ts';

interface LoadTestOptions {
  concurrency: number[];
  duration: number;
  body?: string;
  path?: string;
  model?: string;
}

export function configureLoadTest(command: Command, act: Act): void {
  command
    .argument('<url>', 'a model server, such as http://127.0.0.1:7071')
    .option('--concurrency <list>', 'connections, one measurement for each number', parseCounts, [50])
    .option('--duration <seconds>', 'length of each measurement', parseSeconds, 5)
    .option('--model <name>', 'the model to ask, where the server has several')
    .option('--path <path>', 'what to post to instead, such as /models/iris/versions/1/predict')
    .option(
      '--body <json>',
      'the request: JSON, or @file (default: the example that the model server publishes)',
    )
    .action(
      act(async (terminal, url: string, options: LoadTestOptions) => {
        const client = createHttpClient({ url, remedy: 'start a model server with `tidemill up`' });
        const path = await choosePath(options, client);
        const body = await chooseBody(options.body, path, client, terminal.io.cwd);
        const target = `${client.url}${path}`;
        const first = await client.request('POST', path, { body: JSON.parse(body) as unknown });
        terminal.note(`POST ${target} answers ${JSON.stringify(first).slice(0, 160)}`);

        const results: LoadResult[] = [];
        const signal = interruption(terminal.io);
        for (const concurrency of options.concurrency) {
          const label = `${concurrency} connections`;
          const totalMs = options.duration * 1000;
          const result = await measureLoad({
            url: target,
            body,
            concurrency,
            durationMs: totalMs,
            signal,
            onProgress: ({ elapsedMs, requests }) =>
              terminal.progress({
                label,
                done: Math.min(elapsedMs, totalMs - 1),
                total: totalMs,
                detail: `${requests} answers`,
              }),
          });
          results.push(result);
          if (signal.aborted) break;
        }
        terminal.closeBar();
        terminal.table(
          ['connections', 'req/s', 'p50 ms', 'p95 ms', 'p99 ms', 'max ms', 'errors'],
          results.map((r) => [
            r.concurrency,
            r.requests_per_second,
            r.p50_ms,
            r.p95_ms,
            r.p99_ms,
            r.max_ms,
            r.errors,
          ]),
        );
        terminal.document({ url: target, duration_seconds: options.duration, results });
        if (signal.aborted) throw new CliError('interrupted', { exit: 'interrupted' });
        const failed = results.reduce((sum, { errors }) => sum + errors, 0);
        const firstError = results.find(({ first_error }) => first_error !== undefined)?.first_error;
        if (failed > 0) throw new CliError(`${failed} requests failed; the first: ${firstError}`);
      }),
    );
  withExamples(command, [
    ['tidemill load-test http://127.0.0.1:7071 --concurrency 50,100 --duration 5', ''],
    ['tidemill load-test http://127.0.0.1:7071 --model iris --body @row.json', ''],
  ]);
}

/** What to post to: the path or the model that was named, else the only model of the server. */
async function choosePath({ path, model }: LoadTestOptions, client: HttpClient): Promise<string> {
  if (path !== undefined && model !== undefined) throw usageError('give either --path or --model');
  if (path !== undefined) return path;
  // A control plane has these routes too, and answers them in other ways.
  const status = await client.probe('/api/v1/status');
  if (Array.isArray(status.body['model_servers'])) {
    const servers = status.body['model_servers'].map(String);
    throw usageError(
      servers.length === 0
        ? `${client.url} is a control plane, and it knows no model server: start one with \`tidemill serve\``
        : `${client.url} is a control plane; model servers are at ${servers.join(', ')}`,
    );
  }
  const { body } = await client.probe('/models');
  const models = Array.isArray(body['models']) ? (body['models'] as { name: string }[]) : [];
  const names = models.map(({ name }) => name);
  if (model !== undefined) {
    if (!names.includes(model))
      throw usageError(`no model ${model} is served at ${client.url}: ${await whichOnes(model, names)}`);
    return pathOf(model);
  }
  if (names.length < 2) return '/predict';
  throw usageError(
    `${client.url} serves ${names.length} models: choose one by --model (${names.join(', ')}), or by --path ${pathOf(names[0] as string)}`,
  );
}

const pathOf = (model: string) => `/models/${encodeURIComponent(model)}/predict`;

async function chooseBody(
  body: string | undefined,
  path: string,
  client: HttpClient,
  cwd: string,
): Promise<string> {
  if (body !== undefined) {
    const text = body.startsWith('@') ? await readFile(resolve(cwd, body.slice(1)), 'utf8') : body;
    try {
      return JSON.stringify(JSON.parse(text));
    } catch (error) {
      throw usageError(`--body is not JSON: ${(error as Error).message}`);
    }
  }
  const openapi = await client.get<Record<string, any>>('/openapi.json');
  const content = openapi['paths']?.[path]?.post?.requestBody?.content?.['application/json'];
  const example =
    content?.example ??
    Object.values<any>(content?.examples ?? {})[0]?.value ??
    content?.schema?.examples?.[0];
  if (example === undefined) {
    throw usageError(`${client.url}/openapi.json holds no example for POST ${path}: give one by --body`);
  }
  return JSON.stringify(example);
}
