import { ApiError, type AuditEntry, appendAudit, type Tx } from '../../platform/index.ts';
import type { SegmentName } from '../../serving/contract.ts';
import type { DropCause, FileKind, LogDb, LogFile, NewSegment } from './log-tables.ts';

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

/** Values in one statement: below what every database takes. */
const AT_ONCE = 500;

/** The log's tables. Reads work on any connection, the rest needs a transaction. */
export function createLogStore(tx: Tx) {
  const db = tx as LogDb;

  /** Takes ids, and with them the log's row until the commit. */
  async function takeIds(count: number, revision?: 'segments_revision' | 'files_revision'): Promise<number> {
    const { next_id: next } = await db
      .updateTable('log_state')
      .set((build) => ({
        next_id: build('next_id', '+', count),
        ...(revision && { [revision]: build(revision, '+', 1) }),
      }))
      .where('id', '=', 1)
      .returning('next_id')
      .executeTakeFirstOrThrow();
    return next - count;
  }

  async function putGarbage(artifacts: readonly string[], queuedMs: number, pending = 0): Promise<void> {
    for (const part of chunks(artifacts)) {
      await db
        .insertInto('log_garbage')
        .values(part.map((artifact) => ({ artifact, pending, queued_ms: queuedMs })))
        .onConflict((conflict) => conflict.column('artifact').doUpdateSet({ pending, queued_ms: queuedMs }))
        .execute();
    }
  }

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
      const id = await takeIds(1);
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
      await takeIds(0, 'segments_revision');
      return { isNew: true, sha256: segment.sha256 };
    },

    /** Announces a folder of artifacts that a change will write, so that they are removed if it never stands. */
    planOutputs: (folder: string, nowMs: number) => putGarbage([folder], nowMs, 1),

    /**
     * Makes a change of the files.
     *
     * @throws ApiError RESOURCE_CONFLICT when another server has filed or replaced something of it.
     */
    async change({ filed = [], remove = [], add = [], drops = [], ...rest }: LogChange): Promise<void> {
      let id = await takeIds(add.length, 'files_revision');
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
        await putGarbage(
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
        // commit whose answer was lost has stood all the same.
        const announced = await (add.length > 0
          ? db.deleteFrom('log_garbage').where('artifact', '=', rest.outputs).returning('artifact').execute()
          : db
              .updateTable('log_garbage')
              .set({ pending: 0, queued_ms: rest.nowMs })
              .where('artifact', '=', rest.outputs)
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

    /** Artifacts to remove: those that were given up before a time, and those of changes that never stood before another. */
    async garbage(before: { givenUpMs: number; pendingMs: number }): Promise<string[]> {
      const rows = await db
        .selectFrom('log_garbage')
        .select('artifact')
        .where((where) =>
          where.or([
            where.and([where('pending', '=', 0), where('queued_ms', '<', before.givenUpMs)]),
            where.and([where('pending', '=', 1), where('queued_ms', '<', before.pendingMs)]),
          ]),
        )
        .orderBy('artifact')
        .execute();
      return rows.map(({ artifact }) => artifact);
    },

    async forgetGarbage(artifacts: readonly string[]): Promise<void> {
      for (const part of chunks(artifacts)) {
        await db.deleteFrom('log_garbage').where('artifact', 'in', part).execute();
      }
    },

    /** Folders of artifacts whose segments are all filed, with when the newest arrived. */
    async filedGenerations(): Promise<{ generation: string; newestMs: number }[]> {
      const rows = await db
        .selectFrom('log_segments')
        .select(['generation'])
        .select(({ fn }) => [fn.max('received_ms').as('newest'), fn.max('state').as('state')])
        .where('generation', 'is not', null)
        .groupBy('generation')
        .execute();
      // Of the two words 'new' is the greater.
      return rows
        .filter(({ state }) => state === 'filed')
        .map(({ generation, newest }) => ({ generation: generation!, newestMs: Number(newest) }));
    },

    /** Artifacts of filed segments that lie in a folder which was not given up yet. */
    async filedArtifacts(): Promise<string[]> {
      const rows = await db
        .selectFrom('log_segments')
        .select('artifact')
        .where('generation', 'is not', null)
        .where('state', '=', 'filed')
        .execute();
      return rows.map(({ artifact }) => artifact);
    },

    /** Every folder of artifacts that a segment lies in. */
    async generations(): Promise<Set<string>> {
      const rows = await db
        .selectFrom('log_segments')
        .select('generation')
        .distinct()
        .where('generation', 'is not', null)
        .execute();
      return new Set(rows.map(({ generation }) => generation!));
    },

    /** Gives up a folder of artifacts; refuses silently while a segment of it is new. */
    async retireGeneration(generation: string, folder: string, nowMs: number): Promise<void> {
      await takeIds(0);
      const left = await db
        .selectFrom('log_segments')
        .select('id')
        .where('generation', '=', generation)
        .where('state', '=', 'new')
        .limit(1)
        .executeTakeFirst();
      if (left) return;
      await db
        .updateTable('log_segments')
        .set({ generation: null })
        .where('generation', '=', generation)
        .execute();
      await putGarbage([folder], nowMs);
    },

    /** Forgets the names of segments that were filed before; the same one again would be taken as new. */
    async dropSegmentNames(beforeMs: number): Promise<void> {
      await db
        .deleteFrom('log_segments')
        .where('state', '=', 'filed')
        .where('generation', 'is', null)
        .where('received_ms', '<', beforeMs)
        .execute();
    },
  };
}

export type LogStore = ReturnType<typeof createLogStore>;

function changedByOther(what: string): ApiError {
  return new ApiError('RESOURCE_CONFLICT', `The log was changed by another server: ${what}`);
}

function* chunks<T>(values: readonly T[]): Generator<T[]> {
  for (let at = 0; at < values.length; at += AT_ONCE) yield values.slice(at, at + AT_ONCE);
}
