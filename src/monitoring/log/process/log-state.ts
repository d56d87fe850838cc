import type { DuckDBInstance } from '@duckdb/node-api';
import type { FileOnDisk, RowFilter, SyncRequest, SyncResult } from '../log-messages.ts';
import { createBatch, dropBatch, type HotBatch, loadSegments } from './hot-rows.ts';
import { literal, literals } from './quote-sql.ts';

/** What the process knows of the log: the files, and the rows of segments that no file holds yet. */
export interface LogState {
  files: FileOnDisk[];
  batches: HotBatch[];
  /** Raised with every change. */
  revision: number;
}

/** A consistent look at the log: its relations stay readable until `release`. */
export interface Snapshot extends LogState {
  release(): Promise<void>;
}

export function createLogState(main: DuckDBInstance) {
  let state: LogState = { files: [], batches: [], revision: 0 };
  const readers = new Map<HotBatch, number>();
  const dropped = new Set<HotBatch>();

  async function dropIfUnread(batch: HotBatch): Promise<void> {
    if (!dropped.has(batch) || (readers.get(batch) ?? 0) > 0) return;
    dropped.delete(batch);
    readers.delete(batch);
    await dropBatch(main, batch);
  }

  return {
    batch(name: string): HotBatch {
      const found = state.batches.find((batch) => batch.name === name);
      if (!found) throw new Error(`No batch ${name}`);
      return found;
    },

    /** Files and batches change in one step, so that no reader sees a row twice or not at all. */
    async sync({ drop, files, load }: SyncRequest): Promise<SyncResult> {
      let loaded = load && state.batches.find((batch) => batch.name === load.batch);
      const before = loaded?.segments.length ?? 0;
      if (load) {
        loaded ??= await createBatch(main, load.batch);
        await loadSegments(main, loaded, load.segments);
      }
      const gone = state.batches.filter((batch) => drop.includes(batch.name));
      const kept = state.batches.filter((batch) => !drop.includes(batch.name) && batch !== loaded);
      state = {
        files: files ?? state.files,
        batches: loaded ? [...kept, loaded] : kept,
        revision: state.revision + 1,
      };
      for (const batch of gone) {
        dropped.add(batch);
        await dropIfUnread(batch);
      }
      return { segments: loaded?.segments.slice(before) ?? [], models: modelsOf(state) };
    },

    snapshot(): Snapshot {
      const taken = state;
      for (const batch of taken.batches) readers.set(batch, (readers.get(batch) ?? 0) + 1);
      return {
        ...taken,
        async release() {
          for (const batch of taken.batches) {
            readers.set(batch, (readers.get(batch) ?? 1) - 1);
            await dropIfUnread(batch);
          }
        },
      };
    },
  };
}

export type LogStateHolder = ReturnType<typeof createLogState>;

function modelsOf({ files, batches }: LogState): SyncResult['models'] {
  const columns = new Map<string, Set<string>>();
  const add = (model: string, names: Iterable<string>) => {
    const known = columns.get(model) ?? new Set();
    columns.set(model, known);
    for (const name of names) known.add(name);
  };
  for (const file of files) if (file.kind !== 'set-aside') add(file.model, file.columns);
  for (const batch of batches) for (const model of batch.models) add(model, batch.columns.get(model) ?? []);
  return [...columns].map(([name, names]) => ({ name, columns: [...names] }));
}

const PREDICTIONS =
  'segment, line, u, id, t, taken, model, version, variant, ms, features, prediction, probabilities, split_key, cloud_event';
const LABELS = 'segment, line, u, id, t, taken, model, label';

/** The predictions that a filter lets through, as something to select from. */
export function predictionsOf(snapshot: LogState, filter: Partial<RowFilter> = {}): string {
  const { model, from, to } = filter;
  const files = snapshot.files.filter(
    (file) =>
      file.kind === 'predictions' &&
      (model === undefined || file.model === model) &&
      (from === undefined || file.toMs >= from) &&
      (to === undefined || file.fromMs < to),
  );
  const batches = snapshot.batches.filter(
    (batch) => batch.predictionRows > 0 && (model === undefined || batch.models.has(model)),
  );
  return union(
    PREDICTIONS,
    files,
    batches.map((batch) => batch.predictions),
    conditions(filter),
  );
}

/** The labels of a model, every one that was ever given. */
export function labelsOf(snapshot: LogState, model?: string): string {
  const files = snapshot.files.filter(
    (file) => file.kind === 'feedback' && (model === undefined || file.model === model),
  );
  const batches = snapshot.batches.filter(
    (batch) => batch.labelRows > 0 && (model === undefined || batch.models.has(model)),
  );
  return union(
    LABELS,
    files,
    batches.map((batch) => batch.labels),
    conditions({ model }),
  );
}

/** For each prediction the label that counts: the latest by event time, then by when and in which place it was taken. */
export const latestLabels = (labels: string): string =>
  `(SELECT u, model, max_by(struct_pack(label, t), struct_pack(t, taken, segment, line)) AS latest FROM ${labels} GROUP BY u, model)`;

function conditions(filter: Partial<RowFilter>): string {
  const { model, from, to, versions, variants } = filter;
  const all = [
    model !== undefined && `model = ${literal(model)}`,
    from !== undefined && `t >= ${Math.ceil(from)}`,
    to !== undefined && `t < ${Math.ceil(to)}`,
    versions && `list_contains(${literals(versions)}, version)`,
    variants && `list_contains(${literals(variants)}, variant)`,
  ].filter((condition) => typeof condition === 'string');
  return all.length === 0 ? '' : ` WHERE ${all.join(' AND ')}`;
}

function union(columns: string, files: FileOnDisk[], tables: string[], where: string): string {
  const sources = [
    ...(files.length > 0 ? [`read_parquet(${literals(files.map(({ path }) => path))})`] : []),
    ...tables,
  ];
  if (sources.length === 0) {
    const nothing = columns
      .split(', ')
      .map((column) => `NULL::${TYPES[column] ?? 'VARCHAR'} AS ${column}`)
      .join(', ');
    return `(SELECT ${nothing} WHERE false)`;
  }
  return `(${sources.map((source) => `SELECT ${columns} FROM ${source}${where}`).join(' UNION ALL ')})`;
}

const TYPES: Record<string, string> = {
  segment: 'BIGINT',
  line: 'INTEGER',
  u: 'UUID',
  t: 'BIGINT',
  taken: 'BIGINT',
  ms: 'DOUBLE',
  probabilities: 'DOUBLE[]',
};
