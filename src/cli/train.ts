import type { Command } from 'commander';
import { Option } from 'commander';
import { controlPlane } from './http/http-client.ts';
import type { Served } from './http/wait-until-served.ts';
import { type Promotion, promote, showPromotion, waitUntilPromoted } from './promote.ts';
import type { Act } from './terminal/act.ts';
import { CliError } from './terminal/cli-error.ts';
import {
  collectExpression,
  collectSetting,
  parseSeed,
  parseShare,
  withExamples,
  withUrl,
} from './terminal/options.ts';
import { showTraining } from './training/show-training.ts';
import { type TrainOptions, trainModel } from './training/train-model.ts';

export function configureTrain(command: Command, act: Act): void {
  command
    .argument('[file]', 'the table: CSV, Parquet or JSON lines')
    .requiredOption('--target <column>', "what to predict: a column, or an expression such as 'delay > 15'")
    .requiredOption('--name <model>', 'the registered model that gets a new version')
    .option('--data <dataset>', 'a dataset of the platform instead of a file: NAME or NAME@VERSION')
    .option('--format <format>', 'csv, parquet or jsonl (default: by the name of the file)')
    .option('--id <column>', 'a column that identifies a row; never a feature')
    .option('--time <column>', 'a column that says when a row happened')
    .option('--ignore <columns...>', 'columns that must not become features')
    .option('--text <columns...>', 'columns that are text whatever their values look like')
    .option(
      '--feature <name=expression>',
      "a column computed from others, such as 'hour=hour(date)'; may be repeated",
      collectExpression,
    )
    .addOption(
      new Option('--algorithm <name>', 'how to learn; linear is logistic for classes')
        .choices(['gradient-boosting', 'linear'])
        .default('gradient-boosting'),
    )
    .option('--set <key=value>', 'a parameter, such as trees=150; may be repeated', collectSetting)
    .addOption(new Option('--class-weight <how>', 'weights of classes').choices(['none', 'balanced']))
    .addOption(
      new Option(
        '--split <how>',
        'which rows are held out (default: stratified for classes, else random)',
      ).choices(['stratified', 'random', 'time']),
    )
    .option('--test-share <share>', 'share of the rows that is held out', parseShare, 0.2)
    .option('--seed <number>', 'same data, parameters and seed: same model', parseSeed, 1)
    .option('--experiment <name>', "the experiment that tracks the run (default: the model's name)")
    .option('--no-keep-rows', 'do not keep the rows of the file as a version of the dataset MODEL.file')
    .option('--promote', 'put the version live, if it passes the gate')
    .option('--reason <text>', 'why it is promoted; kept in the audit log')
    .action(
      act(async (terminal, file: string | undefined, options: TrainOptions) => {
        const client = controlPlane(options, terminal.io.env);
        const trained = await trainModel(terminal, client, file, options);
        showTraining(terminal, trained);
        let promotion: Promotion | undefined;
        let served: Served | undefined;
        let refusal: CliError | undefined;
        if (options.promote) {
          try {
            promotion = await promote(client, options.name, trained.version, { reason: options.reason });
            served = await waitUntilPromoted(client, promotion);
            showPromotion(terminal, promotion, served);
          } catch (error) {
            // The version is registered all the same, so the document is printed before the refusal.
            if (!(error instanceof CliError) || error.exit !== 'refused') throw error;
            refusal = error;
          }
        }
        terminal.document({
          name: options.name,
          version: trained.version,
          run_id: trained.runId,
          rows: trained.table.rows,
          digest: trained.table.digest,
          ...(trained.table.version !== undefined && {
            dataset: { name: trained.table.name, version: trained.table.version },
          }),
          task: trained.plan.task,
          features: trained.plan.features.map(({ name, type }) => ({ name, type })),
          excluded: trained.plan.excluded,
          warnings: [...trained.plan.warnings, ...trained.model.warnings],
          metrics: trained.model.metrics,
          importance: trained.model.importance,
          export_check: trained.model.exportCheck,
          seconds: trained.durationMs / 1000,
          ...(promotion && { promotion, served }),
          ...(refusal && { refused: { message: refusal.message, ...refusal.details } }),
        });
        if (refusal) throw refusal;
        if (!options.promote) {
          terminal.line(`put it live with: tidemill promote ${options.name}/${trained.version}`);
        }
        terminal.line(`predict with:     tidemill predict ${options.name} ${file ?? 'ROWS'}`);
      }),
    );
  withUrl(command);
  withExamples(command, [
    ['tidemill train examples/iris/iris.csv --target species --name iris --promote', ''],
    ["tidemill train flights.parquet --target 'delay > 15' --name flights --set trees=150", ''],
    ["tidemill train flights.parquet --target 'delay > 15' --name flights --feature 'hour=hour(date)'", ''],
    ['tidemill train --data churn@3 --target churned --name churn --split time --time month', ''],
  ]);
}
