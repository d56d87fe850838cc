import type { BatchOutput, Signature } from '../../models/index.ts';
import type { Logger } from '../../platform/index.ts';
import type { ProfileSpec } from '../../profiles/index.ts';
import { columnFrom } from '../../profiles/index.ts';
import type { Variant } from '../contract.ts';
import { createSegmentCounter } from '../log/profiles/count-segments.ts';
import { type BookPage, HOUR_MS, latencyPlace, type ProfileBook } from '../log/profiles/profile-book.ts';
import { createColumnViews } from '../log/profiles/profile-columns.ts';
import { createRowText } from '../log/row-text.ts';
import type { ServingLog } from '../log/serving-log.ts';
import type { AnsweredPart, AnsweredRequest, InputRow } from './join-answers.ts';
import { createPredictionWriter } from './write-prediction.ts';

/** What a request brings beside its rows, and what it is answered with. */
export interface RequestContext {
  variant: Variant;
  /** Event time that the caller told, in ms. */
  timeMs: number | undefined;
  /** The keys that the split was drawn by: one for all rows, or one for each. */
  keys: readonly (string | undefined)[] | undefined;
  /** CloudEvents attributes as JSON text. */
  cloudEvent: string | undefined;
  /** The only row as JSON text on one line, when the body has it so. */
  rowText: string | undefined;
  /** Set for a shadow: the ids of the answers that it shadows. */
  ids: string[] | undefined;
  /** Whether the ids of the answers are wanted, for a shadow. */
  keepsIds: boolean;
  /** The JSON of each row's prediction; filled when the request is answered. */
  texts: string[];
}

export interface AnswerOptions {
  model: string;
  version: string;
  signature: Signature;
  /** What the model's profile counts; without it only requests are counted. */
  spec: ProfileSpec | undefined;
  /** Left out: nothing is logged. */
  log: ServingLog | undefined;
  book: ProfileBook | undefined;
  /** Columns whose values are profiled apart; another list is told by another array. */
  segments: () => readonly string[] | undefined;
  /** Told of rows whose value is counted in no segment, because there are too many. */
  countLeftOut: (column: string, rows: number) => void;
  /** Told of rows that no profile counts, because too many hours are open. */
  countUnprofiled: (rows: number) => void;
  /** Told the event times of what was answered: moves the clock where that follows events. */
  onEventTime: ((timeMs: number) => void) | undefined;
  nextId: () => string;
  /** Event time of rows that come without one. */
  now: () => number;
  /** The machine's own time. */
  wallNow: () => number;
  count: (classPlace: number) => void;
  logger: Logger;
}

/** Rows of a request that lie in one batch. */
interface Piece {
  rows: InputRow[];
  part: AnsweredPart;
}

const rowsOf = ({ rows, part: { at, rows: count } }: Piece): InputRow[] => rows.slice(at, at + count);

/**
 * Makes the answers of a run: for all requests that it completes the predictions as text, their log lines in one
 * write, and then the profile. All of it before any of them is sent.
 */
export function createRowAnswerer(options: AnswerOptions) {
  const { model, version, signature, spec, log, book, nextId, now, wallNow, count, logger } = options;
  const writer = createPredictionWriter({ output: signature.output, version });
  const rowText = createRowText(signature);
  const viewsOf = spec && createColumnViews(spec, signature);
  const { segments, countLeftOut, countUnprofiled, onEventTime } = options;
  const countSegments =
    spec && book && createSegmentCounter({ signature, spec, book, segments, countLeftOut });
  const source = `,"m":${JSON.stringify(model)},"v":${JSON.stringify(version)},"var":"`;
  const pages = new Map<Variant, BookPage>();
  let lastPlaces: { of: BatchOutput; places: Int32Array } | undefined;

  function placesOf(output: BatchOutput): Int32Array {
    if (lastPlaces?.of !== output) lastPlaces = { of: output, places: writer.places(output) };
    return lastPlaces.places;
  }

  function pageOf(variant: Variant, timeMs: number): BookPage | undefined {
    if (book === undefined) return undefined;
    const hour = Math.floor(timeMs / HOUR_MS) * HOUR_MS;
    let page = pages.get(variant);
    if (page === undefined || page.key.hour !== hour || page.isPutAway) {
      page = book.open({ model, version, variant, hour }, spec);
      if (page !== undefined) pages.set(variant, page);
    }
    return page;
  }

  /** Requests that follow each other in a batch and belong on one page are counted together. */
  function countProfile(requests: AnsweredRequest<RequestContext>[], nowMs: number): void {
    const timed = new Set<BookPage>();
    let run: { page: BookPage; part: AnsweredPart; rows: number; pieces: Piece[] } | undefined;
    const countRun = () => {
      if (run === undefined) return;
      const { page, part, rows, pieces } = run;
      page.answered += rows;
      page.isChanged = true;
      if (page.profile === undefined || viewsOf === undefined) return;
      const { output } = part.result;
      const views = viewsOf({ batch: part.batch, output, classCodes: placesOf(output) });
      const { offset } = part;
      page.profile.add(rows, offset === 0 ? views : views.map((view) => view && columnFrom(view, offset)));
      countSegments?.({ page, views, offset, rows, given: () => pieces.flatMap(rowsOf) });
    };
    for (const { context, parts, rows } of requests) {
      const page = pageOf(context.variant, context.timeMs ?? nowMs);
      if (page === undefined) {
        if (book !== undefined) countUnprofiled(rows.length);
        continue;
      }
      for (const part of parts) {
        const piece = { rows, part };
        if (
          run?.page === page &&
          run.part.batch === part.batch &&
          run.part.offset + run.rows === part.offset
        ) {
          run.rows += part.rows;
          run.pieces.push(piece);
        } else {
          countRun();
          run = { page, part, rows: part.rows, pieces: [piece] };
        }
        if (timed.has(page)) continue;
        timed.add(page);
        const place = latencyPlace(part.result.inferenceMs);
        page.latency[place] = (page.latency[place] as number) + 1;
      }
    }
    countRun();
  }

  /** The texts of the answers, and their log lines. */
  function write(requests: AnsweredRequest<RequestContext>[], nowMs: number) {
    const at = wallNow();
    let lines = '';
    let rows = 0;
    let newest = Number.NEGATIVE_INFINITY;
    try {
      for (const { rows: given, context, answers } of requests) {
        const { variant, keys, cloudEvent } = context;
        const time = context.timeMs ?? nowMs;
        const places = placesOf(answers.output);
        const ms = Math.round(answers.inferenceMs * 1000) / 1000;
        const middle = `","t":${time},"at":${at}${source}${variant}","ms":${ms},"f":`;
        const end = cloudEvent === undefined ? '}\n' : `,"ce":${cloudEvent}}\n`;
        const ids: string[] | undefined = context.keepsIds ? [] : undefined;
        for (let row = 0; row < given.length; row++) {
          const id = context.ids?.[row] ?? nextId();
          ids?.push(id);
          const place = places[answers.offset + row] as number;
          const { answer, logged } = writer.write(answers, row, place, id, variant);
          context.texts.push(answer);
          if (variant !== 'shadow') count(place);
          if (log === undefined) continue;
          const f = context.rowText ?? rowText(given[row] as InputRow);
          const key = keys && (keys.length === 1 ? keys[0] : keys[row]);
          const drawn = key === undefined ? '' : `,"k":${JSON.stringify(key)}`;
          lines += `{"id":"${id}${middle}${f},${logged}${drawn}${end}`;
        }
        rows += given.length;
        if (time > newest) newest = time;
        if (ids !== undefined) context.ids = ids;
      }
    } catch (error) {
      for (const { context } of requests) context.texts = [];
      throw error;
    }
    return { lines, rows, newest };
  }

  return {
    /** Throws what one of them brings about, and then none of them is logged or has texts. */
    answer(requests: AnsweredRequest<RequestContext>[]): void {
      const nowMs = now();
      const { lines, rows, newest } = write(requests, nowMs);
      log?.append(lines, rows, newest);
      // Only what is answered moves the clock: a request that is refused has not happened.
      if (onEventTime !== undefined) {
        // Each of them: one that is far ahead of all others is ignored, and must not hide the others.
        for (const { context } of requests)
          if (context.timeMs !== undefined && context.variant !== 'shadow') onEventTime(context.timeMs);
      }
      try {
        countProfile(requests, nowMs);
      } catch (error) {
        // They are logged under their ids, so they are answered; the profile lacks them.
        logger.error({ err: error, model, version, rows }, 'rows could not be counted in the profile');
      }
    },

    /** The places of the predicted classes of a run's rows. */
    placesOf,

    /** Counts a request that this version could not answer. */
    countFailure(variant: Variant, timeMs: number | undefined): void {
      const page = pageOf(variant, timeMs ?? now());
      if (page === undefined) return;
      page.failed += 1;
      page.isChanged = true;
    },
  };
}
