import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { Transform } from 'node:stream';
import type { Command } from 'commander';
import type { DatasetColumn } from '../datasets/index.ts';
import { controlPlane, type HttpClient } from './http/http-client.ts';
import type { Act } from './terminal/act.ts';
import { CliError, usageError } from './terminal/cli-error.ts';
import { withExamples, withUrl } from './terminal/options.ts';
import { formatBytes, formatTime, type Terminal } from './terminal/terminal.ts';

export interface DatasetVersion {
  name: string;
  version: number;
  digest: string;
  rows: number;
  schema: DatasetColumn[];
  statistics?: Record<string, unknown>;
  notes?: string[];
  created_at: number;
  /** Of an upload: false when the same content was there before. */
  created?: boolean;
}

interface AddOptions {
  format?: string;
  id?: string;
  time?: string;
  text?: string[];
  url?: string;
}

export function configureDatasets(command: Command, act: Act): void {
  const list = withUrl(command.command('list', { isDefault: true }).description('list the datasets')).action(
    act(async (terminal, options: { url?: string }, { args }: Command) => {
      if (args[0] !== undefined) {
        throw usageError(
          `datasets takes list, add or show: to see one, \`tidemill datasets show ${args[0]}\``,
        );
      }
      const answer = await controlPlane(options, terminal.io.env).get<{ datasets: Record<string, any>[] }>(
        '/api/v1/datasets',
      );
      terminal.document(answer);
      if (answer.datasets.length === 0) {
        terminal.line('No datasets yet. Add one: tidemill datasets add NAME FILE');
        return;
      }
      terminal.table(
        ['dataset', 'versions', 'rows', 'columns', 'updated'],
        answer.datasets.map((dataset) => {
          const newest = dataset['latest_version'] ?? {};
          return [
            dataset['name'],
            dataset['versions'],
            newest.rows,
            newest.schema?.length,
            formatTime(dataset['updated_at'] ?? newest.created_at),
          ];
        }),
      );
    }),
  );
  list.allowExcessArguments();
  withExamples(list, [['tidemill datasets', '']]);

  const add = withUrl(command.command('add').description('add a table as the next version of a dataset'))
    .argument('<name>', 'the dataset')
    .argument('<file>', 'CSV, Parquet or JSON lines')
    .option('--format <format>', 'csv, parquet or jsonl (default: by the name of the file)')
    .option('--id <column>', 'the column that identifies a row')
    .option('--time <column>', 'the column that says when a row happened')
    .option('--text <columns...>', 'columns that are text whatever their values look like')
    .action(
      act(async (terminal, name: string, file: string, options: AddOptions) => {
        const client = controlPlane(options, terminal.io.env);
        const version = await addDataset(terminal, client, name, resolve(terminal.io.cwd, file), options);
        terminal.document(version);
        showDataset(terminal, version);
      }),
    );
  withExamples(add, [
    ['tidemill datasets add churn customers.csv --id customer_id --time month', ''],
    ['tidemill datasets add flights flights.parquet', ''],
  ]);

  const show = withUrl(command.command('show').description('show one version: schema, statistics, notes'))
    .argument('<dataset>', 'NAME or NAME@VERSION')
    .action(
      act(async (terminal, dataset: string, options: { url?: string }) => {
        const client = controlPlane(options, terminal.io.env);
        const version = await findDataset(client, dataset);
        terminal.document(version);
        showDataset(terminal, version);
      }),
    );
  withExamples(show, [['tidemill datasets show churn@2', '']]);
}

/** Streams a file to the control plane as the next version of a dataset, with a bar. */
export async function addDataset(
  terminal: Terminal,
  client: HttpClient,
  name: string,
  path: string,
  { filename = basename(path), format, id, time, text }: AddOptions & { filename?: string | undefined } = {},
): Promise<DatasetVersion> {
  const { size } = await stat(path).catch((error: NodeJS.ErrnoException) => {
    throw new CliError(error.code === 'ENOENT' ? `No file ${path}` : `cannot read ${path}: ${error.message}`);
  });
  let sent = 0;
  const count = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      sent += chunk.length;
      terminal.progress({
        label: `upload ${filename}`,
        done: sent,
        total: size,
        detail: formatBytes(sent),
      });
      done(null, chunk);
    },
    flush(done) {
      // Reading a large table takes the server longer than receiving it.
      terminal.progress({
        label: `${filename} is with the server,`,
        done: 0,
        detail: 'which reads it',
      });
      done();
    },
  });
  const stream = createReadStream(path, { highWaterMark: 1 << 20 });
  stream.on('error', (error) => count.destroy(error));
  return client.upload<DatasetVersion>(
    'POST',
    `/api/v1/datasets/${encodeURIComponent(name)}/versions`,
    stream.pipe(count),
    {
      query: {
        filename,
        ...(format !== undefined && { format }),
        ...(id !== undefined && { id }),
        ...(time !== undefined && { time }),
        ...(text !== undefined && { text }),
      },
    },
  );
}

/** Finds `NAME` (its newest version) or `NAME@VERSION`. */
export async function findDataset(client: HttpClient, ref: string): Promise<DatasetVersion> {
  const [name = '', version] = ref.split('@');
  const path = `/api/v1/datasets/${encodeURIComponent(name)}`;
  return client.get<DatasetVersion>(`${path}/versions/${encodeURIComponent(version ?? 'latest')}`);
}

function showDataset(terminal: Terminal, version: DatasetVersion): void {
  terminal.line(
    `${terminal.colors.bold(`${version.name}@${version.version}`)}  ${version.rows} rows, ${version.schema.length} columns`,
  );
  if (version.created === false)
    terminal.line('the same content was there before, so there is no new version');
  terminal.line(version.digest);
  terminal.line();
  showSchema(terminal, version.schema);
  for (const note of version.notes ?? []) terminal.line(`note: ${note}`);
}

/** Prints columns with their types. */
export function showSchema(
  terminal: Terminal,
  schema: { name: string; type: string; nullable: boolean; role?: string | undefined }[],
): void {
  terminal.table(
    ['column', 'type', 'missing', 'role'],
    schema.map(({ name, type, nullable, role }) => [name, type, nullable ? 'yes' : 'no', role ?? '']),
  );
}
