import type { DuckdbSession } from '../../datasets/index.ts';
import {
  type CategoricalColumn,
  type ColumnCounts,
  createWindowedNumbers,
  type NumericColumn,
  type ProfileSpec,
} from '../../profiles/index.ts';
import type { CountedColumns } from '../drift/prepare-reference.ts';
import { chooseCategories, countTexts, emptyTexts, listNewValues } from './count-texts.ts';
import { type ColumnFacts, countDuplicates, describeColumns } from './describe-table.ts';
import type { TableFile, TableFileColumn } from './open-table.ts';
import { closeBins, openBins, sampleEdges, scanNumbers } from './scan-numbers.ts';
import type { WindowRule } from './window-rule.ts';

export interface CountRequest {
  reference: TableFile;
  current: TableFile;
  /** Columns of the reference that the current file has with the same type. */
  compared: readonly TableFileColumn[];
  /** How the reference is cut into windows. */
  rule: WindowRule;
}

export interface CountedTables {
  spec: ProfileSpec;
  facts: { reference: Map<string, ColumnFacts>; current: Map<string, ColumnFacts> };
  referenceWindows: CountedColumns[];
  currentWindow: CountedColumns;
  duplicates: { reference: number; current: number };
  newValues: Map<string, { value: string; rows: number }[]>;
}

const WHOLE: WindowRule = { kind: 'whole' };

/**
 * Counts both files by bins that the reference gives. Numbers are counted here while DuckDB counts texts and repeated
 * rows, so that both have a processor of their own.
 */
export async function countTables(session: DuckdbSession, request: CountRequest): Promise<CountedTables> {
  const { compared } = request;
  const beside = await session.beside();
  // Before the texts are counted, so that both do not hold memory at once; no number can be counted without edges.
  const edges = await sampleEdges(session, request.reference, compared.filter(isNumber));
  const [numbers, texts] = await finishBoth(
    countNumbers(session, request, edges),
    countOthers(beside, request),
  );
  const columns = compared.map(({ name }) => (numbers.bins.get(name) ?? texts.bins.get(name))!);
  const windowOf = (of: 'reference' | 'current', label: number): CountedColumns => ({
    columns: columns.map(
      (column) =>
        (column.kind === 'numeric'
          ? numbers[of].windows.get(label)?.get(column.name)
          : texts[of].windows.get(column.name)?.get(label)) ?? emptyCounts(column),
    ),
  });
  const labels = new Set(numbers.reference.windows.keys());
  for (const windows of texts.reference.windows.values())
    for (const label of windows.keys()) labels.add(label);
  return {
    spec: { columns },
    facts: {
      reference: new Map([...numbers.reference.facts, ...texts.reference.facts]),
      current: new Map([...numbers.current.facts, ...texts.current.facts]),
    },
    referenceWindows: [...labels].sort((a, b) => a - b).map((label) => windowOf('reference', label)),
    currentWindow: windowOf('current', 0),
    duplicates: texts.duplicates,
    newValues: texts.newValues,
  };
}

const isNumber = ({ kind }: TableFileColumn) => kind === 'number';

async function countNumbers(
  session: DuckdbSession,
  { reference, current, rule }: CountRequest,
  edges: ReadonlyMap<string, readonly number[]>,
) {
  const bins = new Map<string, NumericColumn>();
  const before = await scanNumbers(
    session,
    reference,
    reference.columns.filter(isNumber).map((source) => ({
      source,
      bins: openBins(source.name, edges.get(source.name)),
    })),
    rule,
  );
  for (const [name, inner] of edges) {
    bins.set(name, closeBins(openBins(name, inner), before.facts.get(name)!));
  }
  const now = await scanNumbers(
    session,
    current,
    current.columns.filter(isNumber).map((source) => ({
      source,
      bins: bins.get(source.name) ?? openBins(source.name),
    })),
    WHOLE,
  );
  return { bins, reference: before, current: now };
}

interface CountedOthers {
  facts: Map<string, ColumnFacts>;
  /** By the name of a column, then by the label of a window. */
  windows: Map<string, Map<number, ColumnCounts>>;
}

/** Texts and booleans by dictionaries, dates by their range, and rows that repeat others. */
async function countOthers(session: DuckdbSession, { reference, current, compared, rule }: CountRequest) {
  const others = (table: TableFile) => table.columns.filter(({ kind }) => kind !== 'number');
  const bins = new Map<string, CategoricalColumn>();
  const newValues = new Map<string, { value: string; rows: number }[]>();
  const counted = async (table: TableFile): Promise<CountedOthers> => ({
    facts: await describeColumns(session, table, others(table)),
    windows: new Map(),
  });
  const before = await counted(reference);
  const now = await counted(current);
  for (const source of compared.filter(({ kind }) => kind !== 'number')) {
    const column = await chooseCategories(session, reference, source, before.facts.get(source.name)!);
    bins.set(source.name, column);
    await count(before, reference, source, column, rule);
    const own = current.columns.find(({ name }) => name === source.name)!;
    const counts = await count(now, current, own, column, WHOLE);
    if ((counts.get(0)?.unseen ?? 0) > 0)
      newValues.set(source.name, await listNewValues(session, current, own, column.categories));
  }
  const duplicates = {
    reference: await countDuplicates(session, reference, reference.columns),
    current: await countDuplicates(session, current, current.columns),
  };
  return { bins, newValues, duplicates, reference: before, current: now };

  async function count(
    into: CountedOthers,
    table: TableFile,
    source: TableFileColumn,
    column: CategoricalColumn,
    by: WindowRule,
  ) {
    const facts = into.facts.get(source.name)!;
    const { windows, distinct } = await countTexts(session, table, source, { column, facts, rule: by });
    into.windows.set(source.name, windows);
    if (distinct !== undefined) into.facts.set(source.name, { ...facts, distinct, isEstimate: false });
    return windows;
  }
}

/** Of a file without rows. */
const emptyCounts = (column: NumericColumn | CategoricalColumn): ColumnCounts =>
  column.kind === 'categorical' ? emptyTexts(column) : createWindowedNumbers(column).countsOf(0);

/** Both results; when one fails, only once the other has ended, because it uses what is closed then. */
async function finishBoth<A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  const [a, b] = await Promise.allSettled([first, second]);
  if (a.status === 'rejected') throw a.reason;
  if (b.status === 'rejected') throw b.reason;
  return [a.value, b.value];
}
