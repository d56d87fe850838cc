import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Logger } from '../../../platform/index.ts';
import {
  type ColumnValues,
  columnFrom,
  createProfile,
  decodeProfile,
  encodeProfile,
  type Profile,
  type ProfileSpec,
  segmentName,
} from '../../../profiles/index.ts';
import { type PredictionLine, type ProfileEntry, predictionLineSchema } from '../../contract.ts';
import type { InputRow } from '../../predict/join-answers.ts';
import type { ServedVersion } from '../../versions/served-version.ts';
import type { Snapshot } from '../ship-log.ts';
import { countersOf, HOUR_MS, latencyPlace, MOST_COUNTERS, MOST_PAGES, noLatencies } from './profile-book.ts';
import { type AnsweredBatch, createColumnViews } from './profile-columns.ts';
import {
  createSegmentColumns,
  isSegmentValue,
  MOST_SEGMENT_VALUES,
  type SegmentColumn,
} from './segment-columns.ts';

/** Few enough that requests which are answered meanwhile hardly wait. */
const BATCH_ROWS = 64;

/** A segment of predictions, by its sequence. */
export interface LoggedFile {
  sequence: number;
  path: string;
}

/** An entry that grows again. */
interface Regrown {
  entry: ProfileEntry;
  profile: Profile | undefined;
  lastMs: number;
}

/** The entries of a snapshot, with the logged rows that it does not count yet, by the models that are warm. */
export async function countAgain(
  { position, part, entries }: Snapshot,
  files: LoggedFile[],
  findVersion: (name: string, version: string) => ServedVersion | undefined,
  logger: Logger,
  signal: AbortSignal,
): Promise<ProfileEntry[]> {
  const regrown = new Map<string, Regrown>();
  const uncounted = new Map<string, number>();
  /** Which values of a column are counted apart, by the entry of all rows. */
  const segmentValues = new Map<string, Set<string>>();
  let counters = 0;
  let unprofiled = 0;
  for (const entry of entries) {
    regrown.set(nameOf(entry), {
      entry: { ...entry, latency: [...entry.latency] },
      profile: undefined,
      lastMs: Number.NaN,
    });
  }

  /** The entry of a key, begun when there is none and room for it. */
  function growing(key: EntryKey): Regrown | undefined {
    const name = nameOf(key);
    let grown = regrown.get(name);
    if (grown === undefined) {
      if (regrown.size >= MOST_PAGES) return undefined;
      grown = {
        entry: { ...key, part, answered: 0, failed: 0, latency: noLatencies() },
        profile: undefined,
        lastMs: Number.NaN,
      };
      regrown.set(name, grown);
    }
    return grown;
  }

  /** The entry of a segment, where rows of its value are, or may still be, counted apart. */
  function growingSegment(
    key: EntryKey,
    column: string,
    value: string,
    columns: readonly SegmentColumn[],
  ): Regrown | undefined {
    if (!isSegmentValue(value)) return undefined;
    const place = `${nameOf(key)}${column}`;
    let values = segmentValues.get(place);
    if (values === undefined) {
      values = new Set();
      for (const { entry } of regrown.values()) {
        const isOfColumn = isOfSameRows(entry, key) && columnOf(entry.segment, columns) === column;
        if (isOfColumn) values.add(entry.segment.slice(column.length + 1));
      }
      segmentValues.set(place, values);
    }
    if (!values.has(value) && values.size >= MOST_SEGMENT_VALUES) return undefined;
    const grown = growing({ ...key, segment: segmentName(column, value) });
    if (grown !== undefined) values.add(value);
    return grown;
  }

  function addRow(grown: Regrown, spec: ProfileSpec, values: (ColumnValues | undefined)[]): void {
    if (grown.profile === undefined) {
      const size = countersOf(spec);
      if (counters + size > MOST_COUNTERS) return;
      counters += size;
      const { profile } = grown.entry;
      grown.profile = profile === undefined ? createProfile(spec) : decodeProfile(spec, profile);
    }
    grown.profile.add(1, values);
  }

  async function countLines(lines: PredictionLine[]): Promise<void> {
    const [first] = lines;
    if (first === undefined) return;
    const { m: model, v: version } = first;
    const served = findVersion(model, version);
    const spec = served?.spec;
    const answered = spec && (await rerun(served, lines));
    const views = spec && answered && createColumnViews(spec, served.facts.signature)(answered);
    const columns = spec ? createSegmentColumns(served?.segments ?? [], served.facts.signature, spec) : [];
    if (views === undefined && (served === undefined || spec !== undefined)) {
      const name = `${model}/${version}`;
      uncounted.set(name, (uncounted.get(name) ?? 0) + lines.length);
    }
    for (const [row, { t, var: variant, ms, f }] of lines.entries()) {
      const hour = Math.floor(t / HOUR_MS) * HOUR_MS;
      const key = { model, version, variant, hour, segment: '' };
      const grown = growing(key);
      if (grown === undefined) {
        unprofiled += 1;
        continue;
      }
      const { entry } = grown;
      entry.answered += 1;
      if (ms !== grown.lastMs) {
        const place = latencyPlace(ms);
        entry.latency[place] = (entry.latency[place] ?? 0) + 1;
        grown.lastMs = ms;
      }
      if (views === undefined || spec === undefined) continue;
      const values = views.map((view) => view && columnFrom(view, row));
      addRow(grown, spec, values);
      if (variant === 'shadow') continue;
      for (const { column, valueAt } of columns) {
        const value = valueAt(views, row, f as InputRow);
        const segment = value === undefined ? undefined : growingSegment(key, column, value, columns);
        if (segment === undefined) continue;
        segment.entry.answered += 1;
        addRow(segment, spec, values);
      }
    }
  }

  for (const { sequence, path } of files) {
    const start = sequence === position.sequence ? position.bytes : 0;
    let lines: PredictionLine[] = [];
    for await (const text of createInterface({ input: createReadStream(path, { start, signal }) })) {
      const line = parseLine(text);
      if (line === undefined) continue;
      const [first] = lines;
      if (lines.length >= BATCH_ROWS || (first && (first.m !== line.m || first.v !== line.v))) {
        await countLines(lines);
        lines = [];
      }
      lines.push(line);
    }
    await countLines(lines);
  }
  for (const [version, rows] of uncounted) {
    logger.warn(
      { version, rows },
      'rows of an earlier process are missing in its profile: the model is not loaded any more',
    );
  }
  if (unprofiled > 0) {
    logger.warn(
      { rows: unprofiled },
      'rows of an earlier process are in no profile: they are of too many hours',
    );
  }
  return [...regrown.values()].map(({ entry, profile }) =>
    profile === undefined ? entry : { ...entry, profile: encodeProfile(profile) },
  );
}

/** The rows as they were fed then; undefined when the model does not take them any more. */
async function rerun(served: ServedVersion, lines: PredictionLine[]): Promise<AnsweredBatch | undefined> {
  try {
    return await served.rerun(lines.map(({ f }) => f as InputRow));
  } catch {
    return undefined;
  }
}

function parseLine(text: string): PredictionLine | undefined {
  try {
    return predictionLineSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

type EntryKey = Pick<ProfileEntry, 'model' | 'version' | 'variant' | 'hour' | 'segment'>;

const nameOf = ({ model, version, variant, hour, segment }: EntryKey): string =>
  `${hour} ${variant} ${version} ${model}\n${segment}`;

const isOfSameRows = (a: EntryKey, b: EntryKey): boolean =>
  a.hour === b.hour && a.variant === b.variant && a.version === b.version && a.model === b.model;

/** The column of a segment; of several that its name may begin with, as `a` and `a=b`, the longest. */
function columnOf(segment: string, columns: readonly SegmentColumn[]): string | undefined {
  let found: string | undefined;
  for (const { column } of columns) {
    const isLonger = found === undefined || column.length > found.length;
    if (isLonger && segment.startsWith(`${column}=`)) found = column;
  }
  return found;
}
