import { rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleepFor } from 'node:timers/promises';
import type { Logger } from '../../platform/index.ts';
import type { ProfileReport, Reporter, SegmentKind, SegmentName } from '../contract.ts';
import { inspectSegment, newer } from './inspect-segment.ts';
import type { LeftOver } from './log-folder.ts';
import type { BookCapture, ProfileBook } from './profiles/profile-book.ts';
import type { ClosedSegment } from './segment-writer.ts';
import type { ServingLog } from './serving-log.ts';
import { createRefusedSegments } from './set-aside.ts';

/** Sends a segment's file (its first `bytes`) to the control plane; resolves when it is kept there for good. */
export type ShipSegment = (
  name: SegmentName,
  file: { path: string; bytes: number; sha256: string },
  signal: AbortSignal,
) => Promise<void>;

/** Sends a profile report; resolves when it is kept. */
export type ReportProfiles = (
  reporter: Reporter,
  report: ProfileReport,
  signal: AbortSignal,
) => Promise<void>;

/** The control plane will never take this: sending it again would only fail again. */
export class RefusedError extends Error {
  override name = 'RefusedError';
}

/** What was refused for good. */
export type RefusedKind = SegmentKind | 'profiles';

/** What a later process begins from when this one dies. */
export interface Snapshot {
  /** The entries count every prediction before this place. */
  position: { sequence: number; bytes: number };
  /** The part under which new pages begin. */
  part: number;
  dropped: number;
  /** Newest event time of what had been shipped, or was about to be; null without events. */
  watermark: number | null;
  entries: BookCapture['all'];
}

export const SNAPSHOT_FILE = 'snapshot.json';
export const REPLAY_FOLDER = 'replay';

const MOST_REFUSED_BYTES = 1024 ** 3;
const LONGEST_DELAY_MS = 30_000;
/** Dropped rows, which this process alone knows of, are told within so long, unless the control plane is away. */
const TELL_DROPS_MS = 1000;
/** What is shipped in the last moment of an orderly stop. */
const LAST_SHIP_MS = 5_000;

export interface ShipperOptions {
  reporter: Reporter;
  folder: string;
  leftOvers: LeftOver[];
  log: ServingLog;
  book: ProfileBook;
  shipSegment: ShipSegment;
  reportProfiles: ReportProfiles;
  reportMs: number;
  logger: Logger;
  /** Told of what the control plane refused for good. */
  onRefused: (what: RefusedKind) => void;
  /** Bytes of refused segments that are kept for people to look at; default 1 GiB. */
  mostRefusedBytes?: number | undefined;
  /** Told the newest event time before the folder that says it is removed. */
  keepEventTime?: ((newest: number) => Promise<void>) | undefined;
  /** Where the clock follows events: what of an event's time it follows. */
  capEventTime?: ((eventMs: number) => number | null) | undefined;
  random?: () => number;
}

/**
 * Brings the log to the control plane: every `reportMs`, when something is new, ends the open segments, sends them in
 * their order, deletes each once it is taken, then reports the profiles of exactly what was sent. While the control
 * plane is away, what waits stays in one growing segment.
 */
export function createLogShipper(options: ShipperOptions) {
  const {
    reporter,
    folder,
    log,
    book,
    shipSegment,
    reportProfiles,
    reportMs,
    logger,
    onRefused,
    random = Math.random,
  } = options;
  const stopping = new AbortController();
  const leftOvers = [...options.leftOvers];
  const mostBytes = options.mostRefusedBytes ?? MOST_REFUSED_BYTES;
  const refused = createRefusedSegments({ root: dirname(folder), mostBytes });
  let waiting: ClosedSegment[] = [];
  let watermark = null as number | null;
  /** As `watermark`, with what is about to be shipped: kept before, so that no crash between loses it. */
  let promised = null as number | null;
  let reported = { watermark, dropped: 0 };
  let failures = 0;
  let loop: Promise<void> | undefined;

  const capped = (newest: number | null): number | null =>
    newest === null || !options.capEventTime ? newest : options.capEventTime(newest);

  async function ship(
    owner: Reporter,
    ownFolder: string,
    segment: ClosedSegment,
    signal: AbortSignal,
  ): Promise<void> {
    const { kind, sequence, path, bytes } = segment;
    const inspected = await inspectSegment(segment);
    if (inspected === undefined) {
      // Another server that shares the folder has shipped it; waiting for it would keep back all the rest.
      log.noteShipped(bytes);
      logger.warn({ segment: path }, 'a segment of the log is gone before this process shipped it');
      return;
    }
    const { sha256, newest } = inspected;
    try {
      await shipSegment({ ...owner, kind, sequence }, { path, bytes, sha256 }, signal);
      await rm(path, { force: true });
    } catch (error) {
      if (!(error instanceof RefusedError)) throw error;
      const aside = await refused.setAside(segment, ownFolder);
      onRefused(kind);
      const outcome = aside === undefined ? 'is removed: too many are set aside already' : 'is set aside';
      logger.error({ err: error, segment: path, aside }, `a segment of the log was refused and ${outcome}`);
    }
    log.noteShipped(bytes);
    watermark = newer(watermark, capped(newest));
  }

  async function shipLeftOvers(signal: AbortSignal): Promise<void> {
    if (leftOvers.length === 0) return;
    for (const segment of leftOvers.flatMap(({ segments }) => segments)) {
      const inspected = await inspectSegment(segment);
      promised = newer(promised, capped(inspected?.newest ?? null));
    }
    await snapshotOnly();
    for (const { reporter: owner, folder: ownFolder, segments } of leftOvers) {
      while (segments.length > 0) {
        await ship(owner, ownFolder, segments[0] as ClosedSegment, signal);
        segments.shift();
      }
    }
    leftOvers.length = 0;
  }

  async function shipWaiting(signal: AbortSignal): Promise<void> {
    while (waiting.length > 0) {
      await ship(reporter, folder, waiting[0] as ClosedSegment, signal);
      waiting.shift();
    }
  }

  /** Kept beside the log, so that after a crash only what came later has to be counted again. */
  async function keepSnapshot(
    capture: BookCapture,
    position: Snapshot['position'],
    dropped: number,
  ): Promise<void> {
    const snapshot: Snapshot = {
      position,
      part: capture.part,
      dropped,
      watermark: newer(watermark, promised),
      entries: capture.all,
    };
    const path = join(folder, SNAPSHOT_FILE);
    try {
      // Not synced: it outlives this process, and a power cut costs a recount.
      await writeFile(`${path}.tmp`, JSON.stringify(snapshot));
      await rename(`${path}.tmp`, path);
    } catch (error) {
      await rm(`${path}.tmp`, { force: true }).catch(() => {});
      // A full disk is helped by shipping.
      logger.warn(
        { err: error },
        'the snapshot of the profiles could not be kept; a crash now would cost counts',
      );
    }
  }

  const isNews = () =>
    leftOvers.length > 0 ||
    waiting.length > 0 ||
    log.hasNew ||
    book.isChanged ||
    log.dropped !== reported.dropped ||
    watermark !== reported.watermark;

  /** One round; rejects when the control plane does not take what it is given. */
  async function round(signal: AbortSignal): Promise<void> {
    try {
      await shipLeftOvers(signal);
      await shipWaiting(signal);
    } catch (error) {
      await snapshotOnly();
      throw error;
    }
    // In one turn: the capture counts exactly the lines before the new segments' first.
    waiting = log.takeClosed();
    for (const { newest } of waiting) promised = newer(promised, capped(newest));
    const capture = book.capture();
    const { position, dropped } = log;
    try {
      await keepSnapshot(capture, position, dropped);
      await shipWaiting(signal);
      await reportProfiles(reporter, { watermark, dropped, entries: capture.changed }, signal);
    } catch (error) {
      if (!(error instanceof RefusedError)) {
        book.takeBack(capture);
        throw error;
      }
      // Told again it would be refused again; pages that grow tell their whole counts in the next report.
      onRefused('profiles');
      logger.error({ err: error, entries: capture.changed.length }, 'a report of profiles was refused');
    }
    book.acknowledge();
    reported = { watermark, dropped };
  }

  async function snapshotOnly(): Promise<void> {
    const capture = book.capture();
    const { position, dropped } = log;
    book.takeBack(capture);
    await keepSnapshot(capture, position, dropped);
  }

  async function run(): Promise<void> {
    const { signal } = stopping;
    while (!signal.aborted) {
      const delay =
        failures === 0 ? reportMs : Math.min(LONGEST_DELAY_MS, Math.max(reportMs, 250) * 2 ** (failures - 1));
      const jittered = failures === 0 ? delay : delay / 2 + (delay / 2) * random();
      await rest(jittered, signal);
      if (signal.aborted) return;
      await attempt(signal);
    }
  }

  async function rest(delayMs: number, signal: AbortSignal): Promise<void> {
    for (let left = delayMs; left > 0 && !signal.aborted; left -= TELL_DROPS_MS) {
      await sleepFor(Math.min(left, TELL_DROPS_MS), undefined, { signal, ref: false }).catch(() => {});
      if (failures === 0 && log.dropped !== reported.dropped) return;
    }
  }

  async function attempt(signal: AbortSignal): Promise<boolean> {
    if (!isNews()) return true;
    try {
      await round(signal);
      if (failures > 0) logger.info({ failures }, 'the log is shipped again');
      failures = 0;
      return true;
    } catch (error) {
      if (signal.aborted) return false;
      failures += 1;
      const level = failures === 1 ? 'warn' : 'debug';
      logger[level](
        { err: error, unshipped_bytes: log.unshippedBytes },
        'the log could not be shipped; it waits here',
      );
      return false;
    }
  }

  return {
    start(): void {
      loop ??= run();
    },

    /** Ends the loop, tries once more to ship everything, and removes the folder when nothing is left in it. */
    async stop(): Promise<void> {
      stopping.abort(new Error('the model server stops'));
      await loop;
      const isShipped = failures === 0 && (await attempt(AbortSignal.timeout(LAST_SHIP_MS)));
      // In one turn: what a shadow still answers must neither be forgotten nor keep the folder.
      const isDone = isShipped && !isNews();
      await log.close();
      if (watermark !== null) await options.keepEventTime?.(watermark);
      if (isDone) await rm(folder, { recursive: true, force: true }).catch(() => {});
      else await snapshotOnly();
    },
  };
}

export type LogShipper = ReturnType<typeof createLogShipper>;
