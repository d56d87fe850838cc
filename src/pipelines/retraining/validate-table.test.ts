import { expect, it } from 'vitest';
import type { ColumnStatistics, DatasetColumn } from '../../datasets/index.ts';
import { validateTable } from './validate-table.ts';

interface Given {
  rows?: number;
  columns?: Record<string, Partial<ColumnStatistics> & { type?: DatasetColumn['type'] }>;
}

/** A table of `rows` rows whose columns are filled unless something else is said. */
function table({ rows = 1000, columns = {} }: Given = {}, version = 2) {
  const all: NonNullable<Given['columns']> = {
    a: { type: 'double' },
    b: { type: 'string' },
    late: { type: 'boolean', distinct: 2, top: top({ true: 0.2, false: 0.8 }, rows) },
    ...columns,
  };
  const entries = Object.entries(all);
  return {
    name: 'm.training',
    version,
    rows,
    schema: entries.map(([name, { type = 'double' }]) => ({ name, type, nullable: false })),
    statistics: {
      rows,
      columns: entries.map(([name, { missing = 0, distinct = 9, top: values = [] }]) => ({
        name,
        count: rows - missing,
        missing,
        distinct,
        min: null,
        max: null,
        mean: null,
        standardDeviation: null,
        quantiles: null,
        top: values,
      })),
    },
  };
}

const top = (shares: Record<string, number>, rows: number) =>
  Object.entries(shares).map(([value, share]) => ({ value, count: share * rows }));

const problems = (
  now: ReturnType<typeof table>,
  before = table({}, 1),
  used: (column: string) => boolean = () => true,
) => validateTable(now, before, { target: 'late', used }).problems.map(({ check }) => check);

it('lets a table pass that is like the one before, whatever its values are', () => {
  expect(validateTable(table(), table({}, 1), { target: 'late', used: () => true })).toEqual({
    problems: [],
    warnings: [],
  });
  expect(validateTable(table(), undefined, { target: 'late', used: () => true }).problems).toEqual([]);
});

it('stops at a column that is gone or of another type, when the model uses it', () => {
  const without = table();
  without.schema = without.schema.filter(({ name }) => name !== 'b');
  expect(problems(without)).toEqual(['columns']);
  expect(problems(without, table({}, 1), (column) => column !== 'b')).toEqual([]);
  expect(problems(table({ columns: { a: { type: 'string' } } }))).toEqual(['types']);
  expect(problems(table({ columns: { a: { type: 'long' } } }))).toEqual([]);
  const { problems: said } = validateTable(without, table({}, 1), { target: 'late', used: () => true });
  expect(said[0]?.message).toBe('column "b" is gone; version 1 of m.training had it');
});

it('stops at too few rows, by themselves and against the window before', () => {
  expect(problems(table({ rows: 49 }), table({ rows: 100 }, 1))).toEqual(['rows']);
  expect(problems(table({ rows: 99 }))).toEqual(['rows']);
  expect(problems(table({ rows: 101 }))).toEqual([]);
});

it('stops at a column that was filled and is missing now', () => {
  expect(problems(table({ columns: { a: { missing: 901 } } }))).toEqual(['missing values']);
  expect(problems(table({ columns: { a: { missing: 899 } } }))).toEqual([]);
  const sparse = table({ columns: { a: { missing: 600 } } }, 1);
  expect(problems(table({ columns: { a: { missing: 950 } } }), sparse)).toEqual([]);
});

it('stops at a target that is missing or has lost a class, and warns of shares that moved', () => {
  expect(problems(table({ columns: { late: { type: 'boolean', missing: 1000 } } }))).toEqual(['target']);
  expect(problems(table({ columns: { late: { type: 'boolean', missing: 501 } } }))).toEqual(['target']);
  const never = { type: 'boolean' as const, distinct: 1, top: top({ false: 1 }, 1000) };
  expect(problems(table({ columns: { late: never } }))).toEqual(['target']);
  const more = { type: 'boolean' as const, distinct: 2, top: top({ true: 0.45, false: 0.55 }, 1000) };
  const { problems: none, warnings } = validateTable(table({ columns: { late: more } }), table({}, 1), {
    target: 'late',
    used: () => true,
  });
  expect(none).toEqual([]);
  expect(warnings[0]).toBe(
    'the target "late" is true in 45 % of the rows; in version 1 of m.training in 20 %',
  );
});
