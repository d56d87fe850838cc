import { createChunkFreer, type DuckdbSession, rawItems } from '../../datasets/index.ts';
import {
  type ColumnCounts,
  columnOf,
  createWindowedNumbers,
  finiteFloat,
  type NumberFacts,
  type NumericColumn,
  specOf,
} from '../../profiles/index.ts';
import type { ColumnFacts } from './describe-table.ts';
import type { TableFile, TableFileColumn } from './open-table.ts';
import { NO_WINDOW, type WindowRule, windowSql } from './window-rule.ts';

/** Edges are at the quantiles of so many rows, drawn at random. */
const SAMPLE_ROWS = 20_000;
/** DuckDB holds a piece of each column that a query reads, so that fewer at once need less memory. */
const COLUMNS_AT_ONCE = 20;

/** One column to count, by bins whose range may still be open. */
export interface NumberColumn {
  source: TableFileColumn;
  bins: NumericColumn;
}

export interface ScannedNumbers {
  facts: Map<string, ColumnFacts>;
  /** By the label of a window, then by the name of a column. */
  windows: Map<number, Map<string, ColumnCounts>>;
}

/** Bins that take every number: of a column that is described and not compared. */
export const openBins = (name: string, edges: readonly number[] = []): NumericColumn => ({
  name,
  kind: 'numeric',
  min: Number.NEGATIVE_INFINITY,
  max: Number.POSITIVE_INFINITY,
  edges,
});

const doubleSql = ({ sql }: TableFileColumn) => `coalesce(${sql}, 'nan'::DOUBLE)`;

/** Edges at the quantiles of a sample of a file's rows, by column. */
export async function sampleEdges(
  session: DuckdbSession,
  table: TableFile,
  columns: readonly TableFileColumn[],
): Promise<Map<string, readonly number[]>> {
  const every = Math.max(1, Math.floor(table.rows / SAMPLE_ROWS));
  const where = every === 1 ? '' : ` WHERE hash(file_row_number + 7) % ${every} = 0`;
  const edges = new Map<string, readonly number[]>();
  const free = createChunkFreer();
  for (const group of inGroups(columns, COLUMNS_AT_ONCE)) {
    const buffers = group.map(() => new Float64Array(Math.ceil((table.rows / every) * 1.2) + 2048));
    let rows = 0;
    const sql = `SELECT ${group.map(doubleSql).join(', ')} FROM ${table.relation}${where}`;
    for await (const chunk of session.chunks(sql)) {
      const count = Math.min(chunk.rowCount, buffers[0]!.length - rows);
      for (const [i, buffer] of buffers.entries()) {
        buffer.set(rawItems<Float64Array>(chunk, i).subarray(0, count), rows);
      }
      rows += count;
      free();
    }
    for (const [i, { name }] of group.entries()) {
      const chosen = specOf([{ name, values: columnOf(buffers[i]!.subarray(0, rows)) }], rows).columns[0];
      edges.set(name, (chosen as NumericColumn).edges);
    }
  }
  return edges;
}

/** One pass over a file: what is true of its numbers, and their counts window by window. */
export async function scanNumbers(
  session: DuckdbSession,
  table: TableFile,
  columns: readonly NumberColumn[],
  rule: WindowRule,
): Promise<ScannedNumbers> {
  const scanned: ScannedNumbers = { facts: new Map(), windows: new Map() };
  const window = windowSql(table, rule);
  const free = createChunkFreer();
  for (const group of inGroups(columns, COLUMNS_AT_ONCE)) {
    const counted = group.map(({ bins }) => createWindowedNumbers(bins));
    const slots = createSlots();
    const sql = `SELECT ${[window, ...group.map(({ source }) => doubleSql(source))].join(', ')} FROM ${table.relation}`;
    for await (const chunk of session.chunks(sql)) {
      const rows = chunk.rowCount;
      const places = slots.of(rawItems<Int32Array>(chunk, 0), rows);
      for (const [i, column] of counted.entries()) {
        column.add(rows, rawItems<Float64Array>(chunk, i + 1), places);
      }
      free();
    }
    for (const [i, { bins }] of group.entries()) {
      scanned.facts.set(bins.name, toFacts(counted[i]!.facts(), table.rows));
      for (const [label, slot] of slots.labels) {
        const columnsOfWindow = scanned.windows.get(label) ?? new Map<string, ColumnCounts>();
        scanned.windows.set(label, columnsOfWindow);
        columnsOfWindow.set(bins.name, counted[i]!.countsOf(slot));
      }
    }
  }
  return scanned;
}

/** Closes open bins by what the reference turned out to hold. */
export function closeBins(bins: NumericColumn, { min = 0, max = 0 }: ColumnFacts): NumericColumn {
  // The same number may come as a double here and as a float there; neither is out of range.
  return { ...bins, min: Math.min(min, finiteFloat(min)), max: Math.max(max, finiteFloat(max)) };
}

/** Numbers the windows in the order in which they are met. */
function createSlots() {
  const labels = new Map<number, number>();
  const places = new Int32Array(2048);
  return {
    labels,
    of(windows: Int32Array, rows: number): Int32Array {
      let last = NO_WINDOW;
      let slot = -1;
      for (let row = 0; row < rows; row++) {
        const label = windows[row]!;
        if (label !== last) {
          last = label;
          slot = slotOf(label);
        }
        places[row] = slot;
      }
      return places;
    },
  };

  function slotOf(label: number): number {
    if (label === NO_WINDOW) return -1;
    let slot = labels.get(label);
    if (slot === undefined) {
      slot = labels.size;
      labels.set(label, slot);
    }
    return slot;
  }
}

function toFacts({ missing, nonFinite, count, min, max, mean, sd }: NumberFacts, rows: number): ColumnFacts {
  if (count === 0) return { rows, missing, nonFinite, isConstant: true };
  const moments = Number.isFinite(mean) && Number.isFinite(sd) ? { mean, sd } : {};
  return { rows, missing, nonFinite, isConstant: min === max, min, max, ...moments };
}

export function inGroups<T>(all: readonly T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(all.length / size) }, (_, i) => all.slice(i * size, (i + 1) * size));
}
