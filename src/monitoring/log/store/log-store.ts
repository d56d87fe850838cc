import { ApiError, type AuditEntry, appendAudit, type Tx } from '../../../platform/index.ts';
import type { SegmentName } from '../../../serving/contract.ts';
import { createLogGarbage } from './log-garbage.ts';
import type { DropCause, FileKind, LogDb, LogFile, NewSegment } from './log-tables.ts';
import { chunks, takeIds } from './take-ids.ts';

export interface TakenSegment extends SegmentName {
  sha256: string;
  sizeBytes: number;
  generation: string;
  artifact: string;
  takenAt: number;
  receivedMs: number;
}

export interface NewFile {
  kind: FileKind;
  model: string;
  fromMs: number;
  toMs: number;
  rows: number;
  sizeBytes: number;
  artifact: string;
  sha256: string;
  columns: string[];
  createdAt: number;
}

/** One change of what the log's files are: it stands as a whole or not at all. */
export interface LogChange {
  /** Segments whose rows are in `add` now. */
  filed?: { id: number; rows: number; badLines: number }[];
  /** Files whose rows are in `add`, or gone. */
  remove?: number[];
  add?: NewFile[];
  /** The folder that `add` lies in, which was announced by `planOutputs`. */
  outputs?: string;
  drops?: { model: string; cause: DropCause; rows: number }[];
  audit?: AuditEntry;
  /** By the machine's own clock. */
  nowMs: number;
}

/** The log's tables. Reads work on any connection, the rest needs a transaction. */
export function createLogStore(tx: Tx) {
  const db = tx as LogDb;
  const garbage = createLogGarbage(tx);

  return {
    state: () => db.selectFrom('log_state').selectAll().where('id', '=', 1).executeTakeFirstOrThrow(),

    async findSegment(name: SegmentName): Promise<{ sha256: string } | undefined> {
      return db
        .selectFrom('log_segments')
        .select('sha256')
        .where('kind', '=', name.kind)
        .where('replica', '=', name.replica)
        .where('incarnation', '=', name.incarnation)
        .where('sequence', '=', name.sequence)
        .executeTakeFirst();
    },

    /** Segments that no file holds yet, in the order in which they were taken. */
    async newSegments(after = 0): Promise<NewSegment[]> {
      const rows = await db
        .selectFrom('log_segments')
        .select(['id', 'kind', 'artifact', 'size_bytes'])
        .where('state', '=', 'new')
        .where('id', '>', after)
        .orderBy('id')
        .execute();
      return rows.map(({ id, kind, artifact, size_bytes }) => ({
        id,
        kind: kind as NewSegment['kind'],
        artifact,
        sizeBytes: size_bytes,
      }));
    },

    async files(): Promise<LogFile[]> {
      const rows = await db.selectFrom('log_files').selectAll().orderBy('from_ms').orderBy('id').execute();
      return rows.map((row) => ({
        id: row.id,
        kind: row.kind,
        model: row.model,
        fromMs: row.from_ms,
        toMs: row.to_ms,
        rows: row.row_count,
        sizeBytes: row.size_bytes,
        artifact: row.artifact,
        columns: JSON.parse(row.columns) as string[],
        createdAt: row.created_at,
      }));
    },

    async drops(): Promise<{ model: string; cause: DropCause; rows: number }[]> {
      const rows = await db.selectFrom('log_drops').selectAll().execute();
      return rows.map(({ model, cause, row_count }) => ({ model, cause, rows: row_count }));
    },

    /** Records a segment whose bytes are stored; one that is known changes nothing. */
    async takeSegment(segment: TakenSegment): Promise<{ isNew: boolean; sha256: string }> {
      const id = await takeIds(db, 1);
      const known = await this.findSegment(segment);
      if (known) return { isNew: false, sha256: known.sha256 };
      await db
        .insertInto('log_segments')
        .values({
          kind: segment.kind,
          replica: segment.replica,
          incarnation: segment.incarnation,
          sequence: segment.sequence,
          id,
          sha256: segment.sha256,
          size_bytes: segment.sizeBytes,
          state: 'new',
          generation: segment.generation,
          artifact: segment.artifact,
          taken_at: segment.takenAt,
          received_ms: segment.receivedMs,
          rows_taken: null,
          bad_lines: null,
        })
        .execute();
      await takeIds(db, 0, 'segments_revision');
      return { isNew: true, sha256: segment.sha256 };
    },

    /**
     * Makes a change of the files.
     *
     * @throws ApiError RESOURCE_CONFLICT when another server has filed or replaced something of it.
     */
    async change({ filed = [], remove = [], add = [], drops = [], ...rest }: LogChange): Promise<void> {
      let id = await takeIds(db, add.length, 'files_revision');
      for (const { id: segment, rows, badLines } of filed) {
        const { numUpdatedRows } = await db
          .updateTable('log_segments')
          .set({ state: 'filed', rows_taken: rows, bad_lines: badLines })
          .where('id', '=', segment)
          .where('state', '=', 'new')
          .executeTakeFirst();
        if (Number(numUpdatedRows) !== 1) throw changedByOther(`segment ${segment} is filed already`);
      }
      for (const part of chunks(remove)) {
        const removed = await db
          .deleteFrom('log_files')
          .where('id', 'in', part)
          .returning('artifact')
          .execute();
        if (removed.length !== part.length) throw changedByOther('a file was replaced meanwhile');
        await garbage.put(
          removed.map(({ artifact }) => artifact),
          rest.nowMs,
        );
      }
      for (const part of chunks(add)) {
        await db
          .insertInto('log_files')
          .values(
            part.map((file) => ({
              id: id++,
              kind: file.kind,
              model: file.model,
              from_ms: file.fromMs,
              to_ms: file.toMs,
              row_count: file.rows,
              size_bytes: file.sizeBytes,
              artifact: file.artifact,
              sha256: file.sha256,
              columns: JSON.stringify(file.columns),
              created_at: file.createdAt,
            })),
          )
          .execute();
      }
      if (rest.outputs !== undefined) {
        // Left out of the garbage only where something of it stays. Given up only while it is announced still: a
        // commit whose answer was lost has stood all the same. Once it is given up it cannot stand any more.
        const announced = await (add.length > 0
          ? db
              .deleteFrom('log_garbage')
              .where('artifact', '=', rest.outputs)
              .where('pending', '=', 1)
              .returning('artifact')
              .execute()
          : db
              .updateTable('log_garbage')
              .set({ pending: 0, queued_ms: rest.nowMs })
              .where('artifact', '=', rest.outputs)
              .where('pending', '=', 1)
              .returning('artifact')
              .execute());
        if (add.length > 0 && announced.length === 0)
          throw changedByOther(`${rest.outputs} took so long that it was removed`);
      }
      for (const { model, cause, rows } of drops) {
        if (rows === 0) continue;
        await db
          .insertInto('log_drops')
          .values({ model, cause, row_count: rows })
          .onConflict((conflict) =>
            conflict.columns(['model', 'cause']).doUpdateSet((build) => ({
              row_count: build('log_drops.row_count', '+', rows),
            })),
          )
          .execute();
      }
      if (rest.audit) await appendAudit(tx, rest.audit);
    },
  };
}

function changedByOther(what: string): ApiError {
  return new ApiError('RESOURCE_CONFLICT', `The log was changed by another server: ${what}`);
}
