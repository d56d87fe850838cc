import type { Logger } from '../../platform/index.ts';
import type { ServedVersion } from '../versions/served-version.ts';
import { createEventTimeKeeper } from './event-time.ts';
import { type LogFolderOptions, openLogFolder } from './log-folder.ts';
import { createProfileBook, type ProfileBook } from './profiles/profile-book.ts';
import { recoverProfiles } from './profiles/recover-profiles.ts';
import { diskFiles, type SegmentFiles } from './segment-writer.ts';
import { createServingLog, type ServingLog } from './serving-log.ts';
import { createLogShipper, type RefusedKind, type ReportProfiles, type ShipSegment } from './ship-log.ts';

/** How a model server remembers what it answered. */
export interface RecordOptions {
  /** False: nothing is logged, profiled or labelled. For measurements. */
  isRecorded?: boolean | undefined;
  /** Where segments wait until they are shipped; default `log` in the cache folder. */
  logDir?: string | undefined;
  /** Bytes that may wait there; beyond them new predictions are dropped and counted. Default 4 GiB. */
  logLimitBytes?: number | undefined;
  /** Bytes after which a segment ends early; default 64 MiB. */
  segmentBytes?: number | undefined;
  /** Milliseconds between shipments when something is new; default 5000. */
  reportMs?: number | undefined;
  /** Left out: segments and profiles stay here. */
  shipSegment?: ShipSegment | undefined;
  reportProfiles?: ReportProfiles | undefined;
  /** The disk, for tests of a full one. */
  segmentFiles?: SegmentFiles | undefined;
  logFolder?: LogFolderOptions | undefined;
}

export interface ServingRecord {
  log: ServingLog | undefined;
  book: ProfileBook | undefined;
  /** The newest event time that is known from before the start; null when none is, or nobody asked. */
  newestEvent: number | null;
  /** Begins to ship. */
  start(): void;
  /** Tells that no model is being loaded any more. */
  onSettled(): void;
  /** Ships what can be shipped, and brings the rest to the disk. */
  close(): Promise<void>;
}

const LOG_LIMIT_BYTES = 4 * 1024 ** 3;
const REPORT_MS = 5000;

const NO_RECORD: ServingRecord = {
  log: undefined,
  book: undefined,
  newestEvent: null,
  start() {},
  onSettled() {},
  close: async () => {},
};

/** Opens the prediction log, the feedback journal and the profiles of this process, and takes up what dead ones left. */
export async function openServingRecord(
  options: RecordOptions & {
    logDir: string;
    /** The clock is the newest event time, so that this has to outlive the process. */
    followsEvents: boolean;
    /** What of an event's time the clock follows. */
    capEventTime?: ((eventMs: number) => number | null) | undefined;
    /** The id of this start. */
    incarnation: string;
    onDrop: (rows: number) => void;
    onRefused: (what: RefusedKind) => void;
    findVersion: (name: string, version: string) => ServedVersion | undefined;
    logger: Logger;
  },
): Promise<ServingRecord> {
  if (options.isRecorded === false) return NO_RECORD;
  const { logger, shipSegment, reportProfiles } = options;
  const opened = await openLogFolder(options.logDir, options.incarnation, logger, options.logFolder);
  const { reporter, folder, leftOvers } = opened;
  const files = options.segmentFiles ?? diskFiles;
  const log = createServingLog({
    folder,
    limitBytes: options.logLimitBytes ?? LOG_LIMIT_BYTES,
    leftOverBytes: leftOvers.reduce(
      (sum, { segments }) => sum + segments.reduce((bytes, segment) => bytes + segment.bytes, 0),
      0,
    ),
    ...(options.segmentBytes !== undefined && { segmentBytes: options.segmentBytes }),
    files: {
      ...files,
      open(path) {
        if (!opened.isThere) throw new Error("the disk has had no room for the log's folder since the start");
        return files.open(path);
      },
    },
    logger,
    onDrop: options.onDrop,
  });
  const book = createProfileBook();
  const eventTime = options.followsEvents ? createEventTimeKeeper(options.logDir, logger) : undefined;
  if (shipSegment === undefined || reportProfiles === undefined) {
    return {
      log,
      book,
      newestEvent: (await eventTime?.find(leftOvers, null)) ?? null,
      start() {},
      onSettled() {},
      async close() {
        await log.close();
        opened.release();
      },
    };
  }
  const recovery = await recoverProfiles({
    leftOvers,
    reportProfiles,
    findVersion: options.findVersion,
    logger,
    onRefused: options.onRefused,
  });
  const newestEvent = (await eventTime?.find(leftOvers, recovery.watermark)) ?? null;
  const shipper = createLogShipper({
    reporter,
    folder,
    leftOvers,
    log,
    book,
    shipSegment,
    reportProfiles,
    reportMs: options.reportMs ?? REPORT_MS,
    logger,
    onRefused: options.onRefused,
    keepEventTime: eventTime?.keep,
    capEventTime: options.capEventTime,
  });
  return {
    log,
    book,
    newestEvent,
    start: () => shipper.start(),
    onSettled: () => recovery.onSettled(),
    async close() {
      await recovery.stop();
      await shipper.stop();
      opened.release();
    },
  };
}
