import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Logger } from '../../platform/index.ts';
import {
  type ColumnValues,
  columnFrom,
  createProfile,
  decodeProfile,
  encodeProfile,
  type Profile,
  type ProfileSpec,
} from '../../profiles/index.ts';
import { type PredictionLine, type ProfileEntry, predictionLineSchema } from '../contract.ts';
import type { InputRow } from '../predict/join-answers.ts';
import type { ServedVersion } from '../versions/served-version.ts';
import { HOUR_MS, latencyPlace, noLatencies } from './profile-book.ts';
import { type AnsweredBatch, createColumnViews } from './profile-columns.ts';
import { createSegmentColumns, isSegmentValue, MOST_SEGMENT_VALUES, segmentName } from './segment-columns.ts';
import type { Snapshot } from './ship-log.ts';

const BATCH_ROWS = 256;

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
  for (const entry of entries) {
    regrown.set(nameOf(entry), {
      entry: { ...entry, latency: [...entry.latency] },
      profile: undefined,
      lastMs: Number.NaN,
    });
  }

  /** The entry of a key, begun when there is none. */
  function growing(key: EntryKey): Regrown {
    const name = nameOf(key);
    let grown = regrown.get(name);
    if (grown === undefined) {
      grown = {
        entry: { ...key, part, answered: 0, failed: 0, latency: noLatencies() },
        profile: undefined,
        lastMs: Number.NaN,
      };
      regrown.set(name, grown);
    }
    return grown;
  }

  /** Whether rows of this value are, or may still be, counted apart. */
  function hasRoom(key: EntryKey, column: string): boolean {
    if (regrown.has(nameOf(key))) return true;
    let values = 0;
    for (const { entry } of regrown.values()) {
      if (entry.segment.startsWith(`${column}=`) && isOfSameRows(entry, key)) values += 1;
    }
    return values < MOST_SEGMENT_VALUES;
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
        if (value === undefined || !isSegmentValue(value)) continue;
        const ofSegment = { ...key, segment: segmentName(column, value) };
        if (!hasRoom(ofSegment, column)) continue;
        const part = growing(ofSegment);
        part.entry.answered += 1;
        addRow(part, spec, values);
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
  return [...regrown.values()].map(({ entry, profile }) =>
    profile === undefined ? entry : { ...entry, profile: encodeProfile(profile) },
  );
}

function addRow(grown: Regrown, spec: ProfileSpec, values: (ColumnValues | undefined)[]): void {
  const { profile } = grown.entry;
  grown.profile ??= profile === undefined ? createProfile(spec) : decodeProfile(spec, profile);
  grown.profile.add(1, values);
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
