import type { ProfileSpec } from '../../profiles/index.ts';
import { shortNumber } from '../drift/explain-tests.ts';
import type { ColumnFacts } from './describe-table.ts';
import type { TableFile } from './open-table.ts';
import type { QualityCheck } from './report.ts';

/** So much more than in the reference may be missing, out of range, new or repeated. */
const TOLERATED = { missing: 0.01, outOfRange: 0.001, unseen: 0.001, duplicates: 0.01 };
const LEAST_ROWS = 200;

export interface QualityInput {
  reference: { table: TableFile; facts: ReadonlyMap<string, ColumnFacts>; duplicates: number };
  current: { table: TableFile; facts: ReadonlyMap<string, ColumnFacts>; duplicates: number };
  spec: ProfileSpec;
  /** Rows of the current file outside the reference's range, or with a new category, by column. */
  unseen: ReadonlyMap<string, number>;
  newValues: ReadonlyMap<string, { value: string; rows: number }[]>;
}

/** What the reference makes one expect of the current file, and whether it holds. */
export function checkQuality({ reference, current, spec, unseen, newValues }: QualityInput): QualityCheck[] {
  const checks: QualityCheck[] = [
    {
      check: 'rows',
      passed: current.table.rows >= LEAST_ROWS,
      detail: `${countOf(current.table.rows, 'row')}, ${reference.table.rows} in the reference; at least ${LEAST_ROWS} say something`,
    },
  ];
  const here = new Map(current.table.columns.map((column) => [column.name, column]));
  for (const { name, kind } of reference.table.columns) {
    const column = here.get(name);
    checks.push({
      check: 'column is there',
      column: name,
      passed: column !== undefined,
      detail: column === undefined ? 'it is missing from the current file' : 'it is there',
    });
    if (column === undefined) continue;
    checks.push({
      check: 'type',
      column: name,
      passed: column.kind === kind,
      detail: column.kind === kind ? kind : `${column.kind}, but ${kind} in the reference`,
    });
    const before = reference.facts.get(name);
    const now = current.facts.get(name);
    if (before && now) checks.push(...checkColumn(name, before, now));
  }
  for (const name of here.keys()) {
    if (reference.table.columns.some((column) => column.name === name)) continue;
    checks.push({
      check: 'column is known',
      column: name,
      passed: false,
      detail: 'the reference does not have it',
    });
  }
  for (const column of spec.columns) {
    const rows = unseen.get(column.name);
    const total = current.facts.get(column.name);
    if (rows === undefined || total === undefined) continue;
    const share = rows / Math.max(1, total.rows - total.missing);
    if (column.kind === 'numeric') {
      checks.push({
        check: 'range',
        column: column.name,
        passed: share <= TOLERATED.outOfRange,
        detail: `${countOf(rows, 'row')} (${percent(share)}) outside ${shortNumber(column.min)} to ${shortNumber(column.max)}`,
      });
    } else if (!column.hasOther) {
      const found = newValues.get(column.name) ?? [];
      const list = found.map(({ value, rows: count }) => `${JSON.stringify(value)} (${count})`).join(', ');
      checks.push({
        check: 'new categories',
        column: column.name,
        passed: share <= TOLERATED.unseen,
        detail:
          rows === 0
            ? 'none'
            : `${countOf(rows, 'row')} (${percent(share)}) with values that the reference lacks: ${list}`,
      });
    }
  }
  const [before, now] = [reference, current].map(
    ({ duplicates, table }) => duplicates / Math.max(1, table.rows),
  ) as [number, number];
  checks.push({
    check: 'duplicates',
    passed: now <= before + TOLERATED.duplicates,
    detail: `${percent(now)} of the rows repeat another, ${percent(before)} in the reference`,
  });
  return checks;
}

function checkColumn(column: string, before: ColumnFacts, now: ColumnFacts): QualityCheck[] {
  const [was, is] = [before, now].map(
    ({ missing, nonFinite, rows }) => (missing + nonFinite) / Math.max(1, rows),
  ) as [number, number];
  const limit = was + Math.max(TOLERATED.missing, was / 2);
  const checks: QualityCheck[] = [
    {
      check: 'missing values',
      column,
      passed: is <= limit,
      detail: `${percent(is)}, ${percent(was)} in the reference; up to ${percent(Math.min(1, limit))} passes`,
    },
  ];
  if (!before.isConstant && now.rows > now.missing) {
    checks.push({
      check: 'not constant',
      column,
      passed: !now.isConstant,
      detail: now.isConstant ? 'it has one value, and had more in the reference' : 'it has several values',
    });
  }
  return checks;
}

export const countOf = (count: number, one: string): string => `${count} ${one}${count === 1 ? '' : 's'}`;

export function percent(share: number): string {
  const value = share * 100;
  if (value === 0 || value === 100 || Math.abs(value) >= 10) return `${value.toFixed(0)} %`;
  return value < 0.01 ? '< 0.01 %' : `${Number(value.toPrecision(2))} %`;
}
