import { readFile } from 'node:fs/promises';
import { type CountedSegment, decodeReference, type ProfileSpec } from '../../profiles/index.ts';
import type { ModelVersion } from '../../registry/index.ts';
import { type PreparedReference, prepareReference, WATCHED_WINDOWS } from './prepare-reference.ts';

export interface LoadedReference {
  spec: ProfileSpec;
  prepared: PreparedReference;
  /** Rows of frequent values, counted apart; by `column=value`. */
  segments: ReadonlyMap<string, CountedSegment>;
  /** What a reader of the tests should know about the reference. */
  notes: string[];
}

const FEW_WINDOWS = 20;
const TIMES_LARGER = 10;

/** Reads the references of versions, and keeps the last ones. */
export function createReferenceReader(referencePath: (version: ModelVersion) => Promise<string | undefined>) {
  const known = new Map<string, LoadedReference | undefined>();

  return async (version: ModelVersion): Promise<LoadedReference | undefined> => {
    const key = `${version.name}/${version.version}/${version.sha256}`;
    if (known.has(key)) return known.get(key);
    const path = await referencePath(version);
    let loaded: LoadedReference | undefined;
    if (path !== undefined) {
      const reference = decodeReference(await readFile(path, 'utf8'));
      const prepared = prepareReference(reference);
      loaded = {
        spec: reference.spec,
        prepared,
        segments: new Map((reference.segments ?? []).map((each) => [each.segment, each])),
        notes: sayUnwatched(prepared),
      };
      if (prepared.windows < FEW_WINDOWS) {
        loaded.notes.push(
          `The reference has ${prepared.windows} windows of its own; with ${FEW_WINDOWS} or more it would tell how much its days differ`,
        );
      }
    }
    if (known.size >= 64) known.delete(known.keys().next().value as string);
    known.set(key, loaded);
    return loaded;
  };
}

/** Columns that raise no alarm, and why. */
function sayUnwatched({ columns }: PreparedReference): string[] {
  const few = columns.filter(({ isWatched, rows }) => !isWatched && rows > 0);
  return [...Map.groupBy(few, ({ windows }) => windows)].map(
    ([windows, group]) =>
      `The reference spans ${windows} windows of ${group.map(({ column }) => column.name).join(', ')}: alarms from ${WATCHED_WINDOWS} on`,
  );
}

/** What is to be said of testing a window of so many rows against a reference. */
export function notesFor({ prepared, notes }: LoadedReference, rows: number): string[] {
  if (prepared.rows >= TIMES_LARGER * rows) return notes;
  return [...notes, `The reference has ${prepared.rows} rows, less than ${TIMES_LARGER} times the window's`];
}
