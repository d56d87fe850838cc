import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { vi } from 'vitest';
import {
  feedbackLineSchema,
  type PredictionLine,
  type ProfileReport,
  predictionLineSchema,
  profileReportSchema,
  type Reporter,
  type SegmentName,
} from '../../src/serving/contract.ts';
import { RefusedError, type ReportProfiles, type ShipSegment } from '../../src/serving/index.ts';

export interface TakenSegment extends SegmentName {
  text: string;
}

/** Stands for the control plane that takes a model server's segments and reports; it can be away, and it can refuse. */
export function createLogSink() {
  /** Everything taken, in the order in which it came. */
  const taken: (TakenSegment | (Reporter & { report: ProfileReport }))[] = [];
  let isAway = false;
  let afterTaking: () => void = () => {};
  /** Kinds of segments, and `profiles`. */
  const refused = new Set<string>();

  const segments = (kind: SegmentName['kind']): TakenSegment[] => {
    const all = taken.filter((one): one is TakenSegment => 'text' in one && one.kind === kind);
    const byName = new Map(all.map((one) => [`${one.incarnation}/${one.sequence}`, one]));
    return [...byName.values()];
  };
  const lines = (kind: SegmentName['kind']): unknown[] =>
    segments(kind).flatMap(({ text }) =>
      text
        .split('\n')
        .slice(0, -1)
        .map((line) => JSON.parse(line) as unknown),
    );

  const shipSegment: ShipSegment = async (name, { path, bytes, sha256 }) => {
    if (isAway) throw new Error('the control plane is away');
    if (refused.has(name.kind)) throw new RefusedError('409: other bytes under the same name');
    const body = (await readFile(path)).subarray(0, bytes);
    if (createHash('sha256').update(body).digest('hex') !== sha256) throw new Error('another digest');
    taken.push({ ...name, text: body.toString() });
    afterTaking();
  };

  const reportProfiles: ReportProfiles = async (reporter, report) => {
    if (isAway) throw new Error('the control plane is away');
    if (refused.has('profiles')) throw new RefusedError('400: not a report');
    taken.push({ ...reporter, report: profileReportSchema.parse(structuredClone(report)) });
  };

  return {
    shipSegment,
    reportProfiles,
    taken,
    refused,
    predictions: (): PredictionLine[] =>
      lines('predictions').map((line) => predictionLineSchema.strict().parse(line)),
    feedback: () => lines('feedback').map((line) => feedbackLineSchema.strict().parse(line)),
    reports: () => taken.flatMap((one) => ('report' in one ? [one] : [])),

    /** The newest state of every entry, as a control plane would keep it. */
    entries() {
      const kept = new Map<string, ProfileReport['entries'][number] & Reporter>();
      for (const one of taken) {
        if (!('report' in one)) continue;
        const { replica, incarnation, report } = one;
        for (const entry of report.entries) {
          const { part, model, version, variant, hour, segment } = entry;
          const key = [replica, incarnation, part, model, version, variant, hour, segment].join('\n');
          kept.set(key, { ...entry, replica, incarnation });
        }
      }
      return [...kept.values()];
    },

    goAway(): void {
      isAway = true;
    },
    comeBack(): void {
      isAway = false;
    },
    /** The next segment is taken, but its sender is told that it was not. */
    loseNextAnswer(): void {
      afterTaking = () => {
        afterTaking = () => {};
        throw new Error('the connection broke');
      };
    },

    async until(check: () => void): Promise<void> {
      await vi.waitFor(check, { timeout: 30_000, interval: 5 });
    },
  };
}

export type LogSink = ReturnType<typeof createLogSink>;
