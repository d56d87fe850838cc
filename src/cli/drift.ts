import { stat, writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { DriftReport } from '../monitoring/index.ts';
import type { Act } from './terminal/act.ts';
import { CliError } from './terminal/cli-error.ts';
import { withExamples } from './terminal/options.ts';
import { formatCount, type Terminal } from './terminal/terminal.ts';

interface CompareOptions {
  time?: string;
  ignore?: string[];
  q?: number;
}

const FAIL_ON = ['drift', 'quality', 'any'] as const;

export function configureDrift(command: Command, act: Act): void {
  const report = withComparison(
    command
      .command('report')
      .description('compare two files column by column, without a server; write it as HTML and JSON'),
  )
    .option('--html <file>', 'write one HTML file that needs nothing else')
    .option(
      '--json [file]',
      'write the report as JSON; without a file print one JSON document instead of text',
    )
    .action(
      act(
        async (
          terminal,
          reference: string,
          current: string,
          options: CompareOptions & { html?: string; json?: string | boolean },
        ) => {
          const found = await compare(terminal, reference, current, options);
          const { cwd } = terminal.io;
          if (options.html !== undefined) {
            const { writeHtml } = await import('../monitoring/index.ts');
            await writeFile(resolve(cwd, options.html), writeHtml(found));
          }
          const jsonFile = typeof options.json === 'string' ? options.json : undefined;
          if (jsonFile !== undefined)
            await writeFile(resolve(cwd, jsonFile), `${JSON.stringify(found, null, 2)}\n`);
          terminal.document(found);
          show(terminal, found);
          hintAtIds(terminal, found);
          for (const file of [options.html, jsonFile]) {
            if (file !== undefined) terminal.line(`written to ${file}`);
          }
        },
      ),
    );
  withExamples(report, [
    ['tidemill drift report january.parquet april.parquet --html drift.html --json drift.json', ''],
    ['tidemill drift report january.csv april.csv --time date', 'its days tell how much days differ'],
  ]);

  const check = withComparison(
    command
      .command('check')
      .description(
        'the same as a test: exit status 1 when something is found, a column is missing, or nothing could be tested',
      ),
  )
    .addOption(new Option('--fail-on <what>', 'what makes it fail').choices(FAIL_ON).default('drift'))
    .action(
      act(
        async (
          terminal,
          reference: string,
          current: string,
          options: CompareOptions & { failOn: (typeof FAIL_ON)[number] },
        ) => {
          const found = await compare(terminal, reference, current, options);
          const problems = problemsOf(found, options.failOn);
          terminal.document({ passed: problems.length === 0, fail_on: options.failOn, problems, ...found });
          hintAtIds(terminal, found);
          if (problems.length > 0) throw new CliError(problems.join('; '), { code: 'CHECK_FAILED' });
          terminal.line(
            `${terminal.colors.green('✓')} ${current} is like ${reference}: ${formatCount(found.columns.length, 'columns')}, ${formatCount(found.drift.tests, 'tests')}`,
          );
        },
      ),
    );
  withExamples(check, [
    ['tidemill drift check january.parquet april.parquet --fail-on drift', ''],
    ['tidemill drift check january.csv april.csv --fail-on any', 'also types, ranges, new categories …'],
  ]);
}

function withComparison(command: Command): Command {
  return command
    .argument('<reference>', 'a Parquet, CSV or JSON lines file: how the data should be')
    .argument('<current>', 'the file to judge by it')
    .option('--time <column>', "the reference's column of dates: its days tell how much days differ")
    .option('--ignore <columns...>', 'columns to leave out')
    .option('--q <share>', 'the expected share of false ones among what is called drift', parseRate, 0.05);
}

function parseRate(text: string): number {
  const rate = Number(text);
  if (!(rate > 0 && rate < 1)) throw new InvalidArgumentError('A share is a number between 0 and 1.');
  return rate;
}

async function compare(
  terminal: Terminal,
  reference: string,
  current: string,
  { time, ignore, q }: CompareOptions,
): Promise<DriftReport> {
  const [referencePath, currentPath] = await Promise.all(
    [reference, current].map(async (file) => {
      const path = resolve(terminal.io.cwd, file);
      const found = await stat(path).catch((error: Error) => {
        throw new CliError(`cannot read ${file}: ${error.message}`);
      });
      if (!found.isFile()) throw new CliError(`cannot read ${file}: it is no file`);
      return path;
    }),
  );
  const { compareTables } = await import('../monitoring/index.ts');
  return compareTables({
    referencePath: referencePath as string,
    currentPath: currentPath as string,
    ...(time === undefined ? {} : { time }),
    ...(ignore === undefined ? {} : { ignore }),
    ...(q === undefined ? {} : { falseDiscoveryRate: q }),
    ...(terminal.io.signal === undefined ? {} : { signal: terminal.io.signal }),
  });
}

function problemsOf({ drift, quality }: DriftReport, failOn: (typeof FAIL_ON)[number]): string[] {
  // What was not looked at is not alike, whatever was asked for.
  const missing = quality.checks.flatMap(({ check, column, passed }) =>
    check === 'column is there' && !passed && column !== undefined ? [column] : [],
  );
  const problems: string[] = [];
  if (missing.length > 0) {
    problems.push(
      `${formatCount(missing.length, 'columns')} missing from the current file: ${missing.join(', ')}`,
    );
  }
  if (drift.tests === 0) problems.push('no column could be tested');
  if (failOn !== 'quality' && drift.found) {
    const count = drift.columns.length;
    problems.push(`${formatCount(count, 'columns')} drifted: ${drift.columns.join(', ')}`);
  }
  if (failOn !== 'drift') {
    for (const { check, column, detail, passed } of quality.checks) {
      if (!passed && check !== 'column is there')
        problems.push(`${column === undefined ? '' : `${column}: `}${check}: ${detail}`);
    }
  }
  return problems;
}

function show(terminal: Terminal, { reference, current, drift, quality, columns, notes }: DriftReport): void {
  const { colors } = terminal;
  terminal.line(
    `${current.file} (${formatCount(current.rows, 'rows')}) against ${reference.file} (${formatCount(reference.rows, 'rows')}, ${formatCount(reference.windows, 'windows')})`,
  );
  terminal.line(
    drift.found
      ? colors.yellow(`${formatCount(drift.columns.length, 'columns')} drifted`)
      : colors.green('no column drifted'),
  );
  terminal.table(
    ['column', 'type', 'verdict', 'p', 'PSI', 'KS', 'what moved'],
    columns.map(({ name, kind, status, tests, words, note }) => {
      const values = tests.find(({ aspect }) => aspect === 'values');
      const smallest = tests.toSorted((a, b) => a.p - b.p)[0];
      return [name, kind, status, smallest?.p, values?.psi, values?.ks, note ?? words];
    }),
  );
  const failed = quality.checks.filter(({ passed }) => !passed);
  terminal.line();
  terminal.line(
    failed.length === 0
      ? colors.green(`all ${quality.checks.length} quality checks pass`)
      : colors.yellow(`${failed.length} of ${quality.checks.length} quality checks fail`),
  );
  if (failed.length > 0) {
    terminal.table(
      ['check', 'column', 'found'],
      failed.map(({ check, column, detail }) => [check, column, detail]),
    );
  }
  for (const note of notes) terminal.note(`note: ${note}`);
}

type ColumnReport = DriftReport['columns'][number];
type ColumnSummary = NonNullable<ColumnReport['reference']>;

/** Columns whose values never repeat drift by what they are: says how they are left out. */
function hintAtIds(terminal: Terminal, { columns }: DriftReport): void {
  const ids = columns.filter((column) => column.status === 'drifted' && neverRepeats(column));
  if (ids.length === 0) return;
  const names = ids.map(({ name }) => name);
  const words = ids.length === 1 ? 'its values seem' : 'their values seem';
  terminal.note(
    `note: ${names.join(', ')}: ${words} never to repeat, as those of ids that count on, which always drift; to leave out: --ignore ${names.map(quoteWord).join(' ')}`,
  );
}

function neverRepeats({ kind, reference, current }: ColumnReport): boolean {
  return (
    kind === 'number' && reference !== undefined && current !== undefined && isRunning(reference, current)
  );
}

/** Whole numbers that begin where the others end, and lie about as densely as if each came once. */
function isRunning(reference: ColumnSummary, current: ColumnSummary): boolean {
  if (![reference, current].every(isCounted)) return false;
  const { max: last = 0 } = reference;
  const { min: first = 0, max: end = 0 } = current;
  return first >= last - 0.05 * (end - first);
}

function isCounted({ rows, missing, min = 0, max = 0, sd = 0 }: ColumnSummary): boolean {
  const values = rows - missing;
  const span = max - min + 1;
  // Numbers that are spread evenly have this standard deviation.
  const even = span / Math.sqrt(12);
  return (
    Number.isInteger(min) &&
    Number.isInteger(max) &&
    span >= 0.95 * values &&
    span <= 3 * values &&
    Math.abs(sd - even) <= 0.05 * even
  );
}

const quoteWord = (name: string): string => (/^[\w.-]+$/.test(name) ? name : `'${name}'`);
