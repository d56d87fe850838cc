import type { RawColumn, Table, TableColumn } from '../../datasets/index.ts';
import { createRowCoder, type ModelSession } from '../../models/index.ts';
import { rawColumnsOf } from './graph-inputs.ts';

const EXAMPLE_ROWS = 5;

/**
 * A few raw rows with what the exported model answers: a server compares its own answers before it serves the model.
 * Undefined when the table has no row that a caller could send.
 */
export async function recordExample(session: ModelSession, table: Table) {
  const columns = rawColumnsOf(table);
  const candidates = Array.from({ length: table.rows }, (_, row) => row).filter((row) =>
    canBeSent(columns, row),
  );
  if (candidates.length === 0) return undefined;
  const step = Math.max(1, candidates.length / EXAMPLE_ROWS);
  const rows = Array.from({ length: Math.min(EXAMPLE_ROWS, candidates.length) }, (_, i) =>
    rawRow(columns, candidates[Math.floor(i * step)]!),
  );
  const output = await session.run(createRowCoder(session.signature).encode(rows));
  const classCount = table.classes?.length ?? 0;
  return {
    rows,
    outputs: output.values
      ? { values: [...output.values] }
      : {
          labels: output.labels,
          probabilities: rows.map((_, i) => [
            ...output.probabilities!.subarray(i * classCount, (i + 1) * classCount),
          ]),
        },
  };
}

/** Whether the row can be sent: JSON has no infinite numbers, and a text outside the categories is not kept. */
const canBeSent = (columns: readonly (TableColumn | RawColumn)[], row: number): boolean =>
  columns.every((column) => {
    if (column.type === 'category') return column.codes[row]! < column.categories.length;
    if (column.type === 'text' || column.type === 'datetime') return true;
    return Math.abs(column.values[row]!) !== Number.POSITIVE_INFINITY;
  });

/** A row as a caller would send it. */
function rawRow(columns: readonly (TableColumn | RawColumn)[], row: number): Record<string, unknown> {
  return Object.fromEntries(
    columns.map((column) => {
      if (column.type === 'category') return [column.name, column.categories[column.codes[row]!] ?? null];
      if (column.type === 'text') return [column.name, column.texts[column.codes[row]!] ?? null];
      const value = column.values[row]!;
      if (Number.isNaN(value)) return [column.name, null];
      if (column.type === 'datetime') return [column.name, isoOrMs(value)];
      if (column.source === 'boolean') return [column.name, value !== 0];
      return [column.name, column.values instanceof Float64Array ? value : shortestDecimal(value)];
    }),
  );
}

/** Years beyond four digits have no ISO form that every parser reads. */
const isoOrMs = (timeMs: number): string | number => {
  const text = new Date(timeMs).toISOString();
  return text.length === 24 ? text : timeMs;
};

/** The number with the fewest digits that float32 rounds to this one: 5.1 instead of 5.099999904632568. */
function shortestDecimal(value: number): number {
  for (let digits = 1; digits <= 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}
