import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type DuckdbSession, withDuckdb } from '../../datasets/index.ts';
import { ApiError, nearestName } from '../../platform/index.ts';
import type { ColumnCounts, ProfileSpec } from '../../profiles/index.ts';
import { benjaminiHochberg } from '../../statistics/index.ts';
import { prepareWindows } from '../drift/prepare-reference.ts';
import { testWindow } from '../drift/test-window.ts';
import { checkQuality, countOf } from './check-quality.ts';
import { convertTexts, type ReadableTable, type WorkLimits } from './convert-text.ts';
import { countTables } from './count-tables.ts';
import { openTable, type TableFile, type TableFileColumn } from './open-table.ts';
import type { DriftReport } from './report.ts';
import { reportColumn, reportLeft } from './report-columns.ts';

export interface CompareRequest {
  referencePath: string;
  currentPath: string;
  /** A column of dates: its days are the reference's windows. */
  time?: string;
  /** Columns to leave out. */
  ignore?: readonly string[];
  /** Expected share of false ones among the tests that are called drift. */
  falseDiscoveryRate?: number;
  memoryLimitMb?: number;
  threads?: number;
  signal?: AbortSignal;
}

const FALSE_DISCOVERY_RATE = 0.05;
/** DuckDB's part of the memory: with the program itself it stays under 300 MB. */
const MEMORY_LIMIT_MB = 80;

/** Compares two files column by column, with the tests by which serving is watched; no server takes part. */
export async function compareTables(request: CompareRequest): Promise<DriftReport> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemill-drift-'));
  try {
    const limits: WorkLimits = {
      ...(request.threads === undefined ? {} : { threads: request.threads }),
      ...(request.memoryLimitMb === undefined ? {} : { memoryLimitMb: request.memoryLimitMb }),
      ...(request.signal === undefined ? {} : { signal: request.signal }),
    };
    const tables = await convertTexts(
      { reference: request.referencePath, current: request.currentPath },
      folder,
      limits,
    );
    return await withDuckdb(
      { memoryLimitMb: MEMORY_LIMIT_MB, ...limits, read: [tables.reference.parquet, tables.current.parquet] },
      (session) => compare(session, tables, request),
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function compare(
  session: DuckdbSession,
  tables: { reference: ReadableTable; current: ReadableTable },
  request: CompareRequest,
): Promise<DriftReport> {
  const reference = leaveOut(await openTable(session, tables.reference), request);
  const current = leaveOut(await openTable(session, tables.current), request);
  if (reference.rows === 0) throw new ApiError('INVALID_PARAMETER_VALUE', `${reference.name} has no rows`);
  const time = request.time === undefined ? undefined : findTime(reference, request.time);
  const notes = [...reference.notes, ...current.notes.map((note) => `current: ${note}`)];

  const { compared, left } = chooseColumns(reference, current, time?.name);
  const { spec, facts, referenceWindows, currentWindow, duplicates, newValues } = await countTables(session, {
    reference,
    current,
    compared,
    rule: time ? { kind: 'days', sql: time.sql } : { kind: 'random' },
  });
  const prepared = prepareWindows(spec, referenceWindows);
  if (referenceWindows.length < 20) {
    notes.push(
      `The reference has ${countOf(referenceWindows.length, 'window')} of its own; with 20 or more it would tell how much its days differ`,
    );
  }
  const tests = testWindow(spec, prepared, currentWindow);
  const q = request.falseDiscoveryRate ?? FALSE_DISCOVERY_RATE;
  const flags = benjaminiHochberg(
    tests.map(({ p }) => p),
    q,
  );
  const columns = compared.map((column) =>
    reportColumn(column, { spec, prepared, window: currentWindow, tests, flags, facts }),
  );
  columns.push(...left.map(({ column, note }) => reportLeft(column, note, facts)));
  const drifted = columns.filter(({ status }) => status === 'drifted');
  const rank = { drifted: 0, same: 1, 'not tested': 2 };
  columns.sort((a, b) => rank[a.status] - rank[b.status] || (b.effect ?? 0) - (a.effect ?? 0));

  const checks = checkQuality({
    reference: { table: reference, facts: facts.reference, duplicates: duplicates.reference },
    current: { table: current, facts: facts.current, duplicates: duplicates.current },
    spec,
    unseen: unseenRows(spec, currentWindow.columns),
    newValues,
  });
  const failed = checks.filter(({ passed }) => !passed).length;
  return {
    reference: {
      file: reference.name,
      rows: reference.rows,
      columns: reference.columns.length,
      windows: referenceWindows.length,
      windows_by: time ? 'day' : 'random chunk',
    },
    current: { file: current.name, rows: current.rows, columns: current.columns.length },
    drift: {
      found: drifted.length > 0,
      columns: columns.filter(({ status }) => status === 'drifted').map(({ name }) => name),
      tests: tests.length,
      false_discovery_rate: q,
    },
    quality: { passed: failed === 0, failed, checks },
    columns,
    notes,
  };
}

function leaveOut(table: TableFile, { ignore = [] }: CompareRequest): TableFile {
  return { ...table, columns: table.columns.filter(({ name }) => !ignore.includes(name)) };
}

function findTime(table: TableFile, name: string): TableFileColumn {
  const column = table.columns.find((each) => each.name === name);
  if (column?.kind === 'date') return column;
  const dates = table.columns.filter(({ kind }) => kind === 'date').map((each) => each.name);
  const nearest = nearestName(name, dates);
  throw new ApiError(
    'INVALID_PARAMETER_VALUE',
    column === undefined
      ? `${table.name} has no column ${name}${nearest === undefined ? '' : `; did you mean ${nearest}?`}`
      : `${name} holds no dates but ${column.kind}; columns of dates: ${dates.join(', ') || 'none'}`,
  );
}

function chooseColumns(reference: TableFile, current: TableFile, time: string | undefined) {
  const here = new Map(current.columns.map((column) => [column.name, column]));
  const compared: TableFileColumn[] = [];
  const left: { column: TableFileColumn; note: string }[] = [];
  for (const column of reference.columns) {
    const other = here.get(column.name);
    if (column.name === time) left.push({ column, note: 'its days are the windows' });
    else if (other === undefined) left.push({ column, note: 'the current file does not have it' });
    else if (column.kind === 'date') left.push({ column, note: 'dates move on by themselves' });
    else if (other.kind !== column.kind) {
      left.push({ column, note: `it is ${column.kind} in the reference and ${other.kind} now` });
    } else compared.push(column);
  }
  return { compared, left };
}

/** Rows of the current file outside the reference's range, or with a value that it lacks, by column. */
function unseenRows(spec: ProfileSpec, counts: readonly ColumnCounts[]): Map<string, number> {
  return new Map(
    spec.columns.flatMap(({ name, kind }, index): [string, number][] => {
      const found = counts[index];
      if (found === undefined) return [];
      return [[name, kind === 'numeric' ? found.bins[0]! + (found.bins.at(-1) ?? 0) : found.unseen]];
    }),
  );
}
