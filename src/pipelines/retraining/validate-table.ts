import type { DatasetColumn, DatasetVersion } from '../../datasets/index.ts';

export interface TableProblem {
  check: 'columns' | 'types' | 'rows' | 'missing values' | 'target';
  message: string;
}

export interface ValidatedTable {
  problems: TableProblem[];
  warnings: string[];
}

type Described = Pick<DatasetVersion, 'name' | 'version' | 'rows' | 'schema' | 'statistics'>;

/** Fewer rows are no basis for a model that is to replace another. */
export const LEAST_ROWS = 50;
/** A window that has shrunk to less than this share of the one before has lost rows. */
export const LEAST_ROWS_SHARE = 0.1;
/** A column that was filled and now has more missing values than this is broken. */
export const MOST_MISSING_SHARE = 0.9;
/** A column counts as filled when no more than this was missing before. */
const FILLED_MISSING_SHARE = 0.5;
/** A share of the target's values that moved by more is worth a word. */
const TARGET_SHARE_MOVED = 0.2;
/** A class with this share before and no row now is gone. */
const CLASS_SHARE = 0.01;

/**
 * Compares the rows that a training is to learn from with those of the one before. Drift of values is no problem here,
 * for it is what a retraining is for; what stops is a table that is broken.
 */
export function validateTable(
  table: Described,
  previous: Described | undefined,
  { target, used }: { target: string; used: (column: string) => boolean },
): ValidatedTable {
  const problems: TableProblem[] = [];
  const warnings: string[] = [];
  const add = (check: TableProblem['check'], message: string) => problems.push({ check, message });
  if (table.rows < LEAST_ROWS) {
    add('rows', `there are ${table.rows} rows; a retraining needs at least ${LEAST_ROWS}`);
  }
  for (const { name, count, missing } of table.statistics.columns) {
    if (name !== target) continue;
    if (count === 0) add('target', `the target ${quoted(name)} is missing in every row`);
    else if (missing > count)
      add('target', `the target ${quoted(name)} is missing in ${missing} of ${table.rows} rows`);
  }
  if (previous === undefined) return { problems, warnings };
  const before = `version ${previous.version} of ${previous.name}`;
  if (table.rows < LEAST_ROWS_SHARE * previous.rows) {
    add(
      'rows',
      `there are ${table.rows} rows, and ${before} had ${previous.rows}: less than ${percent(LEAST_ROWS_SHARE)}`,
    );
  }
  for (const column of previous.schema) {
    if (!used(column.name) && column.name !== target) continue;
    const now = table.schema.find(({ name }) => name === column.name);
    if (now === undefined) add('columns', `column ${quoted(column.name)} is gone; ${before} had it`);
    else if (!sameType(now, column)) {
      add('types', `column ${quoted(column.name)} is ${now.type}; in ${before} it was ${column.type}`);
    } else if (column.name !== target) {
      const share = missingShare(table, column.name);
      const shareBefore = missingShare(previous, column.name);
      if (share > MOST_MISSING_SHARE && shareBefore <= FILLED_MISSING_SHARE) {
        add(
          'missing values',
          `column ${quoted(column.name)} is missing in ${percent(share)} of the rows; in ${before} in ${percent(shareBefore)}`,
        );
      }
    }
  }
  compareTarget(table, previous, target, { add, warnings, before });
  return { problems, warnings };
}

/** Compares the shares of the target's values, where the target has classes and both tables tell them. */
function compareTarget(
  table: Described,
  previous: Described,
  target: string,
  out: { add(check: 'target', message: string): void; warnings: string[]; before: string },
): void {
  const [now, before] = [sharesOf(table, target), sharesOf(previous, target)];
  if (now === undefined || before === undefined) return;
  for (const [value, share] of before) {
    const shareNow = now.get(value) ?? 0;
    if (shareNow === 0 && share >= CLASS_SHARE) {
      out.add(
        'target',
        `no row has the target ${quoted(target)} = ${value}; in ${out.before} ${percent(share)} of the rows had it`,
      );
    } else if (Math.abs(shareNow - share) > TARGET_SHARE_MOVED) {
      out.warnings.push(
        `the target ${quoted(target)} is ${value} in ${percent(shareNow)} of the rows; in ${out.before} in ${percent(share)}`,
      );
    }
  }
}

/** Complete shares only: a column with more values than are counted has none. */
function sharesOf({ statistics }: Described, target: string): Map<string, number> | undefined {
  const column = statistics.columns.find(({ name }) => name === target);
  if (column === undefined || column.count === 0 || column.top.length < column.distinct) return undefined;
  return new Map(column.top.map(({ value, count }) => [value, count / column.count]));
}

function missingShare({ statistics, rows }: Described, name: string): number {
  const column = statistics.columns.find((each) => each.name === name);
  return column === undefined || rows === 0 ? 0 : column.missing / rows;
}

/** Whole numbers that became decimal ones are numbers still. */
function sameType(a: DatasetColumn, b: DatasetColumn): boolean {
  const numeric = (type: string) => (type === 'long' ? 'double' : type);
  return numeric(a.type) === numeric(b.type);
}

const quoted = (name: string) => JSON.stringify(name);
const percent = (share: number) => `${Number((100 * share).toPrecision(3))} %`;
