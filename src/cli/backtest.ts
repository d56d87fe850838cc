import { availableParallelism } from 'node:os';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import type { BacktestPolicy, BacktestResult } from '../pipelines/index.ts';
import { readProject } from './project/read-project.ts';
import type { Act } from './terminal/act.ts';
import { usageError } from './terminal/cli-error.ts';
import { interruption } from './terminal/interruption.ts';
import { parseCount, withExamples } from './terminal/options.ts';
import { formatDuration, formatNumber, type Terminal } from './terminal/terminal.ts';

interface BacktestOptions {
  config: string;
  data?: string[];
  policies?: string;
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
    .option('--holdout <time>', 'newest part of the time that is told apart, such as 4w')
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
        const holdoutMs = options.holdout === undefined ? undefined : parseDuration(options.holdout);
        if (options.holdout !== undefined && holdoutMs === undefined) {
          throw usageError(`--holdout ${options.holdout} is no time: write it as 4w or 30d`);
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
        terminal.document(toDocument(result, seconds));
        showResult(terminal, result, options.log ?? false);
        terminal.note(
          `${result.trainings.done} trainings, ${result.trainings.shared} more shared, in ${formatDuration(seconds * 1000)}`,
        );
      }),
    );
  withExamples(command, [
    ['tidemill backtest', 'the project of this folder, all policies'],
    ['tidemill backtest churn --policies never,drift --holdout 4w', ''],
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

const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10);

function toDocument(result: BacktestResult, seconds: number) {
  return {
    model: result.model,
    rows: result.rows,
    from: dayOf(result.from),
    to: dayOf(result.to),
    start: dayOf(result.startAt),
    ...(result.holdoutFrom !== undefined && { holdout_from: dayOf(result.holdoutFrom) }),
    policies: result.policies.map(({ weeks, events, ...policy }) => ({
      ...policy,
      weeks: weeks.map(({ week, rows, metrics }) => ({ week: dayOf(week), rows, ...metrics })),
      events: events.map(({ at, ...event }) => ({ at: new Date(at).toISOString(), ...event })),
    })),
    trainings: result.trainings.done,
    trainings_shared: result.trainings.shared,
    seconds: Math.round(seconds * 10) / 10,
  };
}

function showResult(terminal: Terminal, result: BacktestResult, isDetailed: boolean): void {
  const { colors } = terminal;
  const { policies, holdoutFrom } = result;
  const metric = ['roc_auc', 'log_loss', 'rmse'].find((each) =>
    policies.some(({ before }) => before[each] !== undefined),
  );
  if (metric === undefined) return;
  const better = metric === 'roc_auc' ? 'more is better' : 'less is better';
  terminal.line(
    `${result.model}: ${result.rows} rows, the first model at ${dayOf(result.startAt)}, replayed until ${dayOf(result.to)}`,
  );
  terminal.line(`\n${colors.bold(`${metric} by week`)} (${better})`);
  const weeks = policies[0]?.weeks ?? [];
  terminal.table(
    ['week of', 'rows', ...policies.map(({ policy }) => policy)],
    weeks.map(({ week, rows }, index) => [
      `${dayOf(week)}${holdoutFrom !== undefined && week >= holdoutFrom ? ' *' : ''}`,
      rows,
      ...policies.map((each) => short(each.weeks[index]?.metrics[metric])),
    ]),
  );
  if (holdoutFrom !== undefined) terminal.line('* held out');
  terminal.line('');
  const shown =
    metric === 'roc_auc'
      ? ['roc_auc', 'log_loss']
      : metric === 'rmse'
        ? ['rmse', 'mae']
        : ['log_loss', 'accuracy'];
  const held = holdoutFrom === undefined ? [] : shown.map((each) => `${each} held out`);
  terminal.table(
    [
      'policy',
      ...shown,
      ...held,
      'retrainings',
      'promoted',
      'rejected',
      'drift alarms',
      'performance alarms',
    ],
    policies.map((each) => [
      each.policy,
      ...shown.map((name) => short(each.before[name])),
      ...(holdoutFrom === undefined ? [] : shown.map((name) => short(each.holdout[name]))),
      each.retrainings,
      each.promoted,
      each.rejected + each.failed,
      each.alarms.drift,
      each.alarms.performance,
    ]),
  );
  if (!isDetailed) return;
  for (const { policy, events } of policies) {
    terminal.line(`\n${colors.bold(policy)}`);
    for (const { at, kind, what, cause } of events) {
      terminal.line(`  ${dayOf(at)}  ${kind.padEnd(9)}  ${what}${cause === undefined ? '' : `  (${cause})`}`);
    }
  }
}

const short = (value: number | undefined): number | undefined =>
  value === undefined ? undefined : Number(formatNumber(Number(value.toFixed(4))));
