import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { DuckDBInstance } from '@duckdb/node-api';
import type { FileOnDisk, SharedLog, ShareRequest } from '../log-messages.ts';
import { withConnection } from './duckdb-instances.ts';
import { labelsOf, predictionsOf } from './log-relations.ts';
import type { LogState, LogStateHolder } from './log-state.ts';
import { literal } from './quote-sql.ts';

/** Says which files another process may read, and gives it a copy of the rows that no file holds yet. */
export function createLogSharing(main: DuckDBInstance, state: LogStateHolder) {
  const start = randomUUID().slice(0, 8);
  let files: readonly FileOnDisk[] | undefined;
  let filesNumber = 0;
  let copies = 0;

  return async function share(
    { folder, known }: ShareRequest,
    signal: AbortSignal,
  ): Promise<SharedLog | undefined> {
    const snapshot = state.snapshot();
    try {
      const revision = `${start}-${snapshot.revision}`;
      if (revision === known) return undefined;
      if (snapshot.files !== files) filesNumber++;
      files = snapshot.files;
      // Of its own: another copy of the same revision may be read still, or be removed at this moment.
      const hotFolder = join(folder, `${revision}-${++copies}`);
      return {
        revision,
        filesRevision: `${start}-${filesNumber}`,
        files: snapshot.files,
        hot: await copyHotRows(main, snapshot, hotFolder, signal),
        folder: hotFolder,
      };
    } finally {
      await snapshot.release();
    }
  };
}

function copyHotRows(
  main: DuckDBInstance,
  { batches }: LogState,
  folder: string,
  signal: AbortSignal,
): Promise<FileOnDisk[]> {
  return withConnection(main, signal, async (connection) => {
    await mkdir(folder, { recursive: true });
    const copied: FileOnDisk[] = [];
    const hot = { files: [], batches };
    for (const [kind, relation, rows] of [
      ['predictions', predictionsOf(hot), sum(batches.map(({ predictionRows }) => predictionRows))],
      ['feedback', labelsOf(hot), sum(batches.map(({ labelRows }) => labelRows))],
    ] as const) {
      if (rows === 0) continue;
      const path = join(folder, `${kind}.parquet`);
      await connection.run(`COPY (SELECT * FROM ${relation}) TO ${literal(path)} (FORMAT parquet)`);
      copied.push({ kind, model: '', columns: [], path, rows, fromMs: 0, toMs: 0 });
    }
    return copied;
  });
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
