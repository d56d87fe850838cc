import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { controlPlane, type HttpClient } from './http/http-client.ts';
import type { Act } from './terminal/act.ts';
import { CliError } from './terminal/cli-error.ts';
import { parseCount, parseModelRef, withExamples, withUrl } from './terminal/options.ts';
import { showMetrics, showPerClass } from './training/show-training.ts';

interface EvaluateOptions {
  target?: string;
  format?: string;
  limit: number;
  url?: string;
}

export function configureEvaluate(command: Command, act: Act): void {
  command
    .argument('<model>', 'NAME for what serves, NAME/VERSION or NAME@ALIAS')
    .argument('<data>', 'labelled rows: CSV, Parquet or JSON lines')
    .option(
      '--target <column>',
      "the true answer: a column or an expression (default: the model's own target)",
    )
    .option('--format <format>', 'csv, parquet or jsonl (default: by the name of the file)')
    .option('--limit <rows>', 'measure on so many of the first rows that have a target', parseCount, 100_000)
    .action(
      act(async (terminal, model: string, data: string, options: EvaluateOptions) => {
        const client = controlPlane(options, terminal.io.env);
        const { name, version } = await chooseVersion(client, model);
        const onnx = await downloadModel(client, name, version);
        const labelled = await readLabelled(onnx, resolve(terminal.io.cwd, data), options);
        const { digest, ...scored } = labelled;
        const seen = seenRows(await trainingOf(onnx), digest);
        const { evaluateModel } = await import('../delivery/index.ts');
        const startedAt = performance.now();
        const { task, target, rows, metrics, report } = await evaluateModel({ onnx, ...scored });
        terminal.document({
          name,
          version,
          task,
          target,
          rows,
          metrics,
          report,
          ...(seen && { seen }),
          seconds: (performance.now() - startedAt) / 1000,
        });
        terminal.line(
          `${terminal.colors.bold(`${name} version ${version}`)} on ${rows} rows, target ${target} (${task})`,
        );
        if (seen) {
          terminal.note(
            `this is the table it was trained on: ${seen.rows} of ${seen.of} rows are not unseen, so it looks better than it is`,
          );
        }
        const { baseline = {} } = report as { baseline?: Record<string, number | null> };
        const guesses = Object.entries(baseline).map(([metric, value]) => [`baseline_${metric}`, value]);
        showMetrics(terminal, { ...metrics, ...Object.fromEntries(guesses) });
        showPerClass(terminal, report);
      }),
    );
  withUrl(command);
  withExamples(command, [
    ['tidemill evaluate iris examples/iris/iris.csv', 'what serves'],
    ["tidemill evaluate flights/2 flights-june.parquet --target 'delay > 15'", ''],
  ]);
}

/** The version that a reference means: itself, its alias's, or what serves. */
export async function chooseVersion(
  client: HttpClient,
  reference: string,
): Promise<{ name: string; version: string }> {
  const { name, version, alias } = parseModelRef(reference);
  if (version !== undefined) return { name, version };
  const model = await client.get<{ champion?: { version: string }; aliases: Record<string, string> }>(
    `/api/v1/models/${encodeURIComponent(name)}`,
  );
  const found = alias === undefined || alias === 'champion' ? model.champion?.version : model.aliases[alias];
  if (found === undefined) {
    throw new CliError(
      alias === undefined
        ? `no version of ${name} serves yet: name one, such as ${name}/1`
        : `${name} has no alias ${alias}`,
    );
  }
  return { name, version: found };
}

async function downloadModel(client: HttpClient, name: string, version: string): Promise<Uint8Array> {
  const path = `/api/v1/models/${encodeURIComponent(name)}/versions/${encodeURIComponent(version)}/model`;
  return new Uint8Array(await (await client.download(path)).arrayBuffer());
}

interface TrainingRecord {
  data?: { digest?: string };
  rows?: { train: number; test: number };
}

/** What the model file records of its training; nothing where another program made it. */
async function trainingOf(onnx: Uint8Array): Promise<TrainingRecord> {
  const { readMetadata, TRAINING_KEY } = await import('../models/index.ts');
  try {
    return JSON.parse(readMetadata(onnx)[TRAINING_KEY] ?? '{}') as TrainingRecord;
  } catch {
    return {};
  }
}

/** How many rows of the table with this digest the model was fitted on; nothing when it is another table. */
export function seenRows(
  { data, rows }: TrainingRecord,
  digest: string,
): { rows: number; of: number } | undefined {
  if (data?.digest !== digest || rows === undefined) return undefined;
  return { rows: rows.train, of: rows.train + rows.test };
}

/** Rows and true answers; the target is computed as a training would, so that it may be an expression. */
async function readLabelled(onnx: Uint8Array, path: string, { target, format, limit }: EvaluateOptions) {
  const { readSignature } = await import('../models/index.ts');
  const { exportLabelled, ingestFile, planTarget, readHeldOut } = await import('../datasets/index.ts');
  const signature = readSignature(onnx);
  const text = signature.columns.filter(({ type }) => type === 'string').map(({ name }) => name);
  const folder = await mkdtemp(join(tmpdir(), 'tidemill-evaluate-'));
  try {
    const parquetPath = join(folder, 'rows.parquet');
    const sourceFormat = format as 'csv' | undefined;
    const table = await ingestFile({
      path,
      outPath: parquetPath,
      text,
      ...(sourceFormat && { format: sourceFormat }),
    });
    const plan = await planTarget({
      parquetPath,
      schema: table.schema,
      target: target ?? signature.output.target,
    });
    const known = new Set(table.schema.map(({ name }) => name));
    const columns = signature.columns.map(({ name }) => name).filter((name) => known.has(name));
    const outPath = join(folder, 'labelled.parquet');
    await exportLabelled({ parquetPath, plan, columns, outPath, maxRows: limit });
    return { ...(await readHeldOut(outPath, { targetName: plan.targetName, text })), digest: table.digest };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
