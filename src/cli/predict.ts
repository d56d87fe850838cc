import { resolve } from 'node:path';
import type { Command } from 'commander';
import { type HttpClient, modelServer } from './http/http-client.ts';
import { openPredictionWriter, type Prediction, toJsonRow } from './predict/write-predictions.ts';
import type { Act } from './terminal/act.ts';
import { CliError, usageError } from './terminal/cli-error.ts';
import { parseCount, parseModelRef, withExamples, withServeUrl, withUrl } from './terminal/options.ts';

interface PredictOptions {
  out?: string;
  row?: string;
  format?: string;
  batch: number;
  url?: string;
  serveUrl?: string;
}

export function configurePredict(command: Command, act: Act): void {
  command
    .argument('<model>', 'NAME, or NAME/VERSION for a version that is warm')
    .argument('[file]', 'rows: CSV, Parquet or JSON lines')
    .option('--row <json>', 'one row instead of a file')
    .option('--out <file>', 'where to write, .csv or .jsonl (default: CSV to stdout)')
    .option('--format <format>', 'csv, parquet or jsonl (default: by the name of the file)')
    .option('--batch <rows>', 'rows of one request', parseCount, 1000)
    .action(
      act(async (terminal, model: string, file: string | undefined, options: PredictOptions) => {
        const { io } = terminal;
        const ref = parseModelRef(model);
        if (ref.alias !== undefined && ref.alias !== 'champion') {
          throw usageError(
            `a model server answers for the champion and for warm versions: write ${ref.name}/VERSION`,
          );
        }
        if ((file === undefined) === (options.row === undefined))
          throw usageError('give either a file or --row');
        const client = await modelServer(options, io.env);
        const version = ref.version === undefined ? '' : `/versions/${ref.version}`;
        const path = `/models/${encodeURIComponent(ref.name)}${version}/predict`;

        if (options.row !== undefined) {
          const answer = await client.post<Prediction>(path, { features: parseRow(options.row) });
          terminal.document(answer);
          terminal.line(
            `${answer.prediction}${describeConfidence(answer)}, by version ${answer.model_version}`,
          );
          return;
        }

        const { readRows } = await import('../datasets/index.ts');
        const startedAt = performance.now();
        const text = await textColumns(client, ref.name);
        const writer = openPredictionWriter(options.out, {
          cwd: io.cwd,
          isKept: terminal.json,
          print: (text) => io.stdout.write(text),
        });
        const versions = new Set<string>();
        let rows = 0;
        const format = options.format as 'csv' | undefined;
        try {
          for await (const chunk of readRows(resolve(io.cwd, file as string), {
            text,
            ...(format && { format }),
          })) {
            for (let at = 0; at < chunk.length; at += options.batch) {
              const part = chunk.slice(at, at + options.batch);
              const predictions = await predictRows(client, path, part, rows);
              for (const { model_version } of predictions) versions.add(model_version);
              await writer.write(part, predictions);
              rows += part.length;
              terminal.progress({ label: 'predict', done: rows, detail: `${rows} rows` });
            }
          }
          await writer.close();
        } catch (error) {
          await writer.discard();
          throw error;
        }
        terminal.closeBar();
        const seconds = (performance.now() - startedAt) / 1000;
        terminal.document({
          model: ref.name,
          versions: [...versions],
          rows,
          seconds,
          ...(options.out !== undefined
            ? { out: resolve(io.cwd, options.out) }
            : { predictions: writer.kept }),
        });
        terminal.note(
          `${rows} rows predicted by version ${[...versions].join(' and ')} in ${seconds.toFixed(1)} s${options.out ? `, written to ${options.out}` : ''}`,
        );
      }),
    );
  withServeUrl(withUrl(command));
  withExamples(command, [
    ['tidemill predict iris examples/iris/iris.csv --out predictions.csv', ''],
    ['tidemill predict iris --row \'{"sepal length (cm)": 5.1, …}\'', 'one row'],
    ['tidemill predict churn customers.parquet --out scores.jsonl', ''],
  ]);
}

/** What the model takes as text stays text, also where a file's values look like numbers. */
async function textColumns(client: HttpClient, name: string): Promise<string[]> {
  const { signature } = await client.get<{ signature: { columns: { name: string; type: string }[] } }>(
    `/models/${encodeURIComponent(name)}`,
  );
  return signature.columns.filter(({ type }) => type === 'string').map((column) => column.name);
}

async function predictRows(
  client: HttpClient,
  path: string,
  rows: Record<string, unknown>[],
  offset: number,
): Promise<Prediction[]> {
  try {
    const body = { instances: rows.map(toJsonRow) };
    return (await client.post<{ predictions: Prediction[] }>(path, body)).predictions;
  } catch (error) {
    if (error instanceof CliError && error.exit === 'failed' && offset > 0) {
      throw new CliError(`${error.message} (rows are counted from row ${offset} of the file)`, {
        code: error.code,
      });
    }
    throw error;
  }
}

function parseRow(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw usageError(`--row is not JSON: ${(error as Error).message}`);
  }
}

function describeConfidence({ confidence }: Prediction): string {
  return confidence === undefined ? '' : ` (confidence ${confidence.toFixed(3)})`;
}
