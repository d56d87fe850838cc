import type { DuckDBInstance } from '@duckdb/node-api';
import type { FileOnDisk, SyncRequest, SyncResult } from '../log-messages.ts';
import { createBatch, dropBatch, type HotBatch, loadSegments } from './hot-rows.ts';

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
