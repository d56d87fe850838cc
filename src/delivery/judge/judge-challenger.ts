import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { ModelSession } from '../models/index.ts';
import { ApiError } from '../platform/index.ts';
import { type Comparison, compareLosses } from './compare-losses.ts';
import { findSeenRows } from './find-seen-rows.ts';
import { type LabelledRows, scoreModel } from './score-model.ts';

/** Files on this machine, so that a child process can read them. */
export interface JudgeInput {
  challengerPath: string;
  /** What the registry recorded of the file; not checked when left out. */
  challengerSha256?: string;
  /** Left out when nothing serves yet. */
  championPath?: string;
  championSha256?: string;
  /** Rows that the challenger has not seen, with the target; left out when none were recorded. */
  heldOut?: { path: string; sha256: string };
}

export interface Judgement {
  /** Why the challenger must not serve at all, whatever anybody says. */
  broken?: string;
  example: 'reproduced' | 'none recorded';
  /** Why champion and challenger could not be compared. */
  incomparable?: string;
  comparison?: Comparison;
  metrics?: { challenger: Record<string, number | null>; champion: Record<string, number | null> };
  heldOut?: { sha256: string; rows: number };
}

export interface JudgeOptions {
  signal?: AbortSignal | undefined;
  onTrial?: ((state: 'begun' | 'ended') => void | Promise<void>) | undefined;
}

/**
 * Loads a challenger, tries it as the model server will, and compares it with the champion on the challenger's held-out rows,
 * both in the runtime that serves. Decides nothing.
 * A trial may never end; `onTrial` is told when it begins and when it has ended, so that somebody can end it.
 */
export async function judgeChallenger(
  { challengerPath, challengerSha256, championPath, championSha256, heldOut }: JudgeInput,
  { onTrial }: JudgeOptions = {},
): Promise<Judgement> {
  let challenger: ModelSession;
  let example: Judgement['example'];
  try {
    challenger = await openSession(challengerPath, challengerSha256);
  } catch (error) {
    return { broken: reasonOf(error), example: 'none recorded' };
  }
  try {
    const { exampleOf, tryModel } = await import('../models/index.ts');
    example = exampleOf(challenger.metadata) ? 'reproduced' : 'none recorded';
    try {
      await onTrial?.('begun');
      await tryModel(challenger);
      await onTrial?.('ended');
    } catch (error) {
      return { broken: reasonOf(error), example };
    }
    if (championPath === undefined) return { example };
    if (heldOut === undefined) {
      return {
        example,
        incomparable: 'the version has no held-out rows (evaluation/heldout.parquet of its run)',
      };
    }
    return {
      example,
      ...(await compare(challenger, { path: championPath, sha256: championSha256 }, heldOut)),
    };
  } finally {
    await challenger.release();
  }
}

async function compare(
  challenger: ModelSession,
  serving: { path: string; sha256: string | undefined },
  heldOut: { path: string; sha256: string },
): Promise<Omit<Judgement, 'example'>> {
  let champion: ModelSession;
  try {
    champion = await openSession(serving.path, serving.sha256);
  } catch (error) {
    if (!(error instanceof CorruptFileError)) throw error;
    return { incomparable: `the champion's file is damaged: ${error.message}` };
  }
  try {
    const { output } = challenger.signature;
    const asked = champion.signature.output;
    if (asked.task !== output.task || asked.target !== output.target) {
      return {
        incomparable: `the champion answers another question: ${asked.task} of '${asked.target}', not ${output.task} of '${output.target}'`,
      };
    }
    const labelled = await readLabelled(heldOut.path, challenger);
    const ours = await scoreModel(challenger, labelled);
    const theirs = await scoreModel(champion, labelled).catch((error: unknown) => {
      if (error instanceof ApiError && error.status < 500) return error.message;
      throw error;
    });
    if (typeof theirs === 'string') {
      return { incomparable: `the champion cannot score the held-out rows: ${theirs}` };
    }
    const comparison = compareLosses(ours, theirs);
    // A challenger that is not worse although the champion knew the rows has won all the same.
    const seen = comparison.verdict === 'worse' && findSeenRows(challenger.metadata, champion.metadata);
    if (seen) return { incomparable: seen };
    return {
      comparison,
      metrics: { challenger: ours.metrics, champion: theirs.metrics },
      heldOut: { sha256: heldOut.sha256, rows: ours.rows },
    };
  } catch (error) {
    if (error instanceof ApiError && error.status < 500) {
      return { incomparable: `the version cannot score its own held-out rows: ${error.message}` };
    }
    throw error;
  } finally {
    await champion.release();
  }
}

/** Rows without a target say nothing about a model and are left out. */
export async function readLabelled(path: string, session: ModelSession): Promise<LabelledRows> {
  const { readHeldOut } = await import('../datasets/index.ts');
  const { columns, output } = session.signature;
  const text = columns.filter(({ type }) => type === 'string').map(({ name }) => name);
  const { rows, targets } = await readHeldOut(path, { targetName: output.target, text });
  const known = targets.map((target) => target !== null);
  return { rows: rows.filter((_, row) => known[row]), targets: targets.filter((_, row) => known[row]) };
}

class CorruptFileError extends Error {
  override name = 'CorruptFileError';
}

async function openSession(path: string, sha256: string | undefined): Promise<ModelSession> {
  const { createSession } = await import('../models/index.ts');
  const bytes = await readFile(path);
  const actual = createHash('sha256').update(bytes).digest('hex');
  if (sha256 !== undefined && actual !== sha256) {
    throw new CorruptFileError(`the sha256 of its stored file is ${actual}, not the recorded ${sha256}`);
  }
  return createSession(bytes);
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
