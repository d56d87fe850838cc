import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { BacktestPolicy } from '../pipelines/index.ts';
import { readProject } from './project/read-project.ts';
import { backtestDocument, showBacktest } from './project/show-backtest.ts';
import type { Act } from './terminal/act.ts';
import { usageError } from './terminal/cli-error.ts';
import { interruption } from './terminal/interruption.ts';
import { parseCount, withExamples } from './terminal/options.ts';
import { formatDuration } from './terminal/terminal.ts';

interface BacktestOptions {
  config: string;
  data?: string[];
  policies?: string;
  holdOut?: string;
  /** As it was called before. */
  holdout?: string;
  start?: number;
  processes?: number;
  log?: boolean;
}

const MOST_PROCESSES = 4;

export function configureBacktest(command: Command, act: Act): void {
  command
    .argument('[model]', 'a model of the project (default: the only one)')
    .option('--config <place>', 'folder or file of the project', '.')
    .option('--data <files...>', "tables with dated rows (default: the project's own)")
    .option(
      '--policies <list>',
      "ways of retraining, separated by commas: never, weekly, drift, performance, project (the project's own)",
    )
    .option(
      '--hold-out <time>',
      'the newest so long, such as 4w, is told apart: choose by the weeks before it, check the choice by it',
    )
    .addOption(new Option('--holdout <time>').hideHelp())
    .option('--start <date>', 'when the first model is there (default: after a fifth of the time)', parseDate)
    .option('--processes <n>', 'how many work at once (default: one for each core, at most 4)', parseCount)
    .option('--log', 'also show each alarm and each decision')
    .action(
      act(async (terminal, model: string | undefined, options: BacktestOptions) => {
        const { io } = terminal;
        const { project, folder } = await readProject(io, options.config);
        const names = Object.keys(project.models);
        const name = model ?? (names.length === 1 ? names[0] : undefined);
        const config = name === undefined ? undefined : project.models[name];
        if (name === undefined || config === undefined) {
          throw usageError(
            `${model === undefined ? 'the project has several models' : `the project has no model ${model}`}: name one of ${names.join(', ')}`,
          );
        }
        const { BACKTEST_POLICIES, runBacktest, STEP_PROCESS } = await import('../pipelines/index.ts');
        const { createLogger, parseDuration } = await import('../platform/index.ts');
        const { readVersion } = await import('./terminal/read-version.ts');
        const files =
          options.data?.map((file) => ({ path: resolve(io.cwd, file) })) ??
          (config.data.path === undefined
            ? undefined
            : [{ path: resolve(folder, config.data.path), format: config.data.format }]);
        if (files === undefined) {
          throw usageError(`models.${name}.data is a dataset of the platform: name its rows by --data FILE`);
        }
        const holdOut = options.holdOut ?? options.holdout;
        const holdoutMs = holdOut === undefined ? undefined : parseDuration(holdOut);
        if (holdOut !== undefined && holdoutMs === undefined) {
          throw usageError(`--hold-out ${holdOut} is no time: write it as 4w or 30d`);
        }
        const startedAt = performance.now();
        const result = await runBacktest({
          model: name,
          config,
          files,
          policies: readPolicies(options.policies, BACKTEST_POLICIES, config.retrain !== undefined),
          startAt: options.start,
          holdoutMs,
          codeVersion: readVersion(),
          processes: options.processes ?? Math.min(MOST_PROCESSES, availableParallelism()),
          entry: STEP_PROCESS,
          logger: createLogger({ level: 'error', name: 'backtest' }),
          signal: interruption(io),
          onProgress: (done, note) => terminal.progress({ label: 'backtest', done, total: 1, detail: note }),
        });
        terminal.closeBar();
        const seconds = (performance.now() - startedAt) / 1000;
        terminal.document(backtestDocument(result, seconds));
        showBacktest(terminal, result, options.log ?? false);
        terminal.note(
          `${result.trainings.done} trainings in ${formatDuration(seconds * 1000)}; ${result.trainings.shared} more were another policy's too`,
        );
      }),
    );
  withExamples(command, [
    ['tidemill backtest', 'the project of this folder, all policies'],
    ['tidemill backtest churn --policies never,drift --hold-out 4w', ''],
    [
      'tidemill backtest --config examples/flights --data examples/flights/*.parquet --start 2001-02-01',
      'five months of flights',
    ],
  ]);
}

function readPolicies(
  list: string | undefined,
  known: readonly BacktestPolicy[],
  hasRetrain: boolean,
): BacktestPolicy[] {
  if (list === undefined) return known.filter((policy) => policy !== 'project' || hasRetrain);
  return list.split(',').map((text) => {
    const policy = known.find((each) => each === text.trim());
    if (policy === undefined) throw usageError(`${text} is no policy: there are ${known.join(', ')}`);
    return policy;
  });
}

function parseDate(text: string): number {
  const ms = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(ms)) throw new InvalidArgumentError('Write it as 2001-02-01.');
  return ms;
}
