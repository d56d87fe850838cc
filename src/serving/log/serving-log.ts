import { ApiError, type Logger } from '../../platform/index.ts';
import {
  type ClosedSegment,
  createSegmentWriter,
  type SegmentFiles,
  type SegmentWriterOptions,
} from './segment-writer.ts';

export interface ServingLogOptions {
  /** This incarnation's folder. */
  folder: string;
  /** Bytes that may wait to be shipped; beyond them new predictions are dropped and counted. */
  limitBytes: number;
  segmentBytes?: number;
  /** Bytes that dead incarnations left. */
  leftOverBytes?: number;
  syncEveryMs?: number;
  files?: SegmentFiles;
  logger: Logger;
  /** Told of each batch that was not logged. */
  onDrop: (rows: number) => void;
  now?: () => number;
}

const SEGMENT_BYTES = 64 * 1024 * 1024;
/** A write that takes longer than this says that the disk cannot follow. */
const SLOW_WRITE_MS = 1000;
/** Labels have as much room again as predictions: without any the disk would be theirs. */
const FEEDBACK_SHARE = 2;
/** After a slow write the log rests so many times as long, so that answers wait for the disk a fifth of the time. */
const REST_FACTOR = 4;

/**
 * The prediction log of this process: predictions are written before they are answered and synced each second;
 * feedback is synced before it is acknowledged. A disk that is full or does not follow costs entries, which are
 * counted, and no answer.
 */
export function createServingLog(options: ServingLogOptions) {
  const { folder, limitBytes, logger, onDrop, now = () => performance.now() } = options;
  const common: Omit<SegmentWriterOptions, 'kind'> = {
    folder,
    maxBytes: options.segmentBytes ?? SEGMENT_BYTES,
    ...(options.files && { files: options.files }),
  };
  const predictions = createSegmentWriter({ ...common, kind: 'predictions' });
  const feedback = createSegmentWriter({ ...common, kind: 'feedback' });
  let dropped = 0;
  /** Closed and handed over, but not acknowledged yet. */
  let waitingBytes = options.leftOverBytes ?? 0;
  let restUntil = 0;
  let isFailing = false;
  let isClosed = false;

  const syncTimer = setInterval(() => {
    for (const writer of [predictions, feedback]) {
      if (!writer.needsSync) continue;
      writer
        .sync()
        .catch((error: unknown) => logger.warn({ err: error }, 'the prediction log could not be synced'));
    }
  }, options.syncEveryMs ?? 1000);
  syncTimer.unref();

  const unshippedBytes = () => waitingBytes + predictions.bytes + feedback.bytes;

  function drop(rows: number, reason: string, error?: unknown): false {
    dropped += rows;
    onDrop(rows);
    if (!isFailing) {
      isFailing = true;
      logger.error({ err: error, folder }, `predictions are answered but not logged: ${reason}`);
    }
    return false;
  }

  return {
    /** Predictions that were answered but not logged, since the start. */
    get dropped(): number {
      return dropped;
    },

    get unshippedBytes(): number {
      return unshippedBytes();
    },

    get hasNew(): boolean {
      return !predictions.isEmpty || !feedback.isEmpty;
    },

    /** Where the next prediction goes. */
    get position() {
      return predictions.position;
    },

    /** Logs the lines of one batch before it is answered; false when they were dropped. Never throws. */
    append(lines: string, rows: number, newestMs: number): boolean {
      if (isClosed) {
        // Only a shadow still runs when nobody is answered any more.
        dropped += rows;
        onDrop(rows);
        return false;
      }
      const started = now();
      if (started < restUntil) return drop(rows, 'the disk does not follow');
      if (unshippedBytes() >= limitBytes) {
        return drop(rows, `${limitBytes} bytes wait to be shipped, and no more may`);
      }
      try {
        predictions.append(lines, newestMs);
      } catch (error) {
        return drop(rows, (error as Error).message, error);
      }
      const ended = now();
      if (ended - started > SLOW_WRITE_MS) restUntil = ended + (ended - started) * REST_FACTOR;
      if (isFailing) {
        isFailing = false;
        logger.warn({ dropped }, 'predictions are logged again');
      }
      return true;
    },

    /**
     * Resolves when the labels are on the disk.
     *
     * @throws ApiError TEMPORARILY_UNAVAILABLE when they cannot be kept.
     */
    async keepFeedback(lines: string, newestMs: number): Promise<void> {
      try {
        if (unshippedBytes() >= limitBytes * FEEDBACK_SHARE)
          throw new Error(`${unshippedBytes()} bytes wait for the control plane, and no more may`);
        feedback.append(lines, newestMs);
        await feedback.sync();
      } catch (error) {
        logger.error({ err: error, folder }, 'feedback could not be kept');
        throw new ApiError(
          'TEMPORARILY_UNAVAILABLE',
          `The feedback could not be kept (${(error as Error).message}); send it again later`,
        );
      }
    },

    /** Ends the open segments and hands over all that are closed: predictions, then feedback. */
    takeClosed(): ClosedSegment[] {
      const closed = [...predictions.takeClosed(), ...feedback.takeClosed()];
      for (const { bytes } of closed) waitingBytes += bytes;
      return closed;
    },

    /** A segment that was handed over, or left over, is gone from this disk. */
    noteShipped(bytes: number): void {
      waitingBytes -= bytes;
    },

    /** Brings everything to the disk; nothing may be appended after. */
    async close(): Promise<void> {
      isClosed = true;
      clearInterval(syncTimer);
      predictions.takeClosed();
      feedback.takeClosed();
      await Promise.allSettled([predictions.sync(), feedback.sync()]);
    },
  };
}

export type ServingLog = ReturnType<typeof createServingLog>;
