import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { ClassValue, ModelSession } from '../../models/index.ts';
import { ApiError } from '../../platform/index.ts';
import type { ScoredPair } from './compare-models.ts';
import { findUnseenRows } from './find-seen-rows.ts';
import {
  type Check,
  DEFAULT_QUESTION,
  type GateQuestion,
  type JudgeInput,
  type Judgement,
} from './judge-input.ts';
import { type EvaluationRows, readLabelled } from './read-labelled.ts';
import { scoreModel } from './score-model.ts';

export interface JudgeOptions {
  signal?: AbortSignal | undefined;
  onTrial?: ((state: 'begun' | 'ended') => void | Promise<void>) | undefined;
}

/**
 * Loads a challenger, tries it as the model server will, and compares it with the champion on rows that neither has
 * seen, both in the runtime that serves. Decides nothing.
 * A trial may never end; `onTrial` is told when it begins and when it has ended, so that somebody can end it.
 */
export async function judgeChallenger(input: JudgeInput, { onTrial }: JudgeOptions = {}): Promise<Judgement> {
  const { challengerPath, challengerSha256, championPath, championSha256, heldOut } = input;
  const question = input.question ?? DEFAULT_QUESTION;
  let opened: Opened;
  try {
    opened = await openSession(challengerPath, challengerSha256);
  } catch (error) {
    return { broken: reasonOf(error), example: 'none recorded', checks: [], notes: [] };
  }
  const challenger = opened.session;
  try {
    const { exampleOf, tryModel } = await import('../../models/index.ts');
    const example: Judgement['example'] = exampleOf(challenger.metadata) ? 'reproduced' : 'none recorded';
    try {
      await onTrial?.('begun');
      await tryModel(challenger);
      await onTrial?.('ended');
    } catch (error) {
      return { broken: reasonOf(error), example, checks: [], notes: [] };
    }
    const { checkReproducibility } = await import('./check-challenger.ts');
    const checks = [exampleCheck(example), checkReproducibility(challenger.metadata)];
    const base = { example, checks, notes: [] };
    if (heldOut === undefined) {
      const incomparable = 'the version has no held-out rows (evaluation/heldout.parquet of its run)';
      const all = [...base.checks, ...(await blockUnmeasured(question, incomparable))];
      return { ...base, checks: all, ...(championPath === undefined ? {} : { incomparable }) };
    }
    const serving = championPath === undefined ? undefined : { path: championPath, sha256: championSha256 };
    const found = serving
      ? await compare(opened, serving, heldOut, question)
      : await measureAlone(challenger, heldOut, question);
    return { ...base, ...found, checks: [...base.checks, ...(found.checks ?? [])] };
  } finally {
    await challenger.release();
  }
}

type Part = Partial<Judgement>;
type HeldOut = NonNullable<JudgeInput['heldOut']>;

/** The first version has nobody to be compared with; what its rows say is kept, and the policy's floor holds. */
async function measureAlone(
  challenger: ModelSession,
  heldOut: HeldOut,
  question: GateQuestion,
): Promise<Part> {
  const { chooseMetric } = await import('./compare-models.ts');
  const { checkFloor } = await import('./check-challenger.ts');
  try {
    const rows = await readLabelled(heldOut.path, challenger);
    const scored = await scoreModel(challenger, rows);
    const metric = chooseMetric(question.metric, scored.classes?.length);
    const checks: Check[] = [];
    if (question.atLeast !== undefined)
      checks.push(checkFloor(metric, scored.metrics[metric], question.atLeast));
    return {
      metrics: { challenger: scored.metrics },
      heldOut: describeRows(heldOut.sha256, rows, 0),
      ...(checks.length > 0 ? { checks } : {}),
    };
  } catch (error) {
    if (error instanceof ApiError && error.status < 500) {
      const why = `the version cannot score its own held-out rows: ${error.message}`;
      return { notes: [why], checks: await blockUnmeasured(question, why) };
    }
    throw error;
  }
}

async function blockUnmeasured({ atLeast }: GateQuestion, why: string): Promise<Check[]> {
  if (atLeast === undefined) return [];
  const { unmeasuredFloor } = await import('./check-challenger.ts');
  return [unmeasuredFloor(atLeast, why)];
}

async function compare(
  ours: Opened,
  serving: { path: string; sha256: string | undefined },
  heldOut: HeldOut,
  question: GateQuestion,
): Promise<Part> {
  const challenger = ours.session;
  let theirs: Opened;
  try {
    theirs = await openSession(serving.path, serving.sha256);
  } catch (error) {
    if (!(error instanceof CorruptFileError)) throw error;
    return { incomparable: `the champion's file is damaged: ${error.message}` };
  }
  const champion = theirs.session;
  try {
    const { output } = challenger.signature;
    const asked = champion.signature.output;
    if (asked.task !== output.task || asked.target !== output.target) {
      return {
        incomparable: `the champion answers another question: ${asked.task} of '${asked.target}', not ${output.task} of '${output.target}'`,
      };
    }
    const { chooseMetric, compareModels, compareSlices } = await import('./compare-models.ts');
    const classes = unionOfClasses(output, asked);
    try {
      chooseMetric(question.metric, classes?.length);
    } catch (error) {
      return { incomparable: reasonOf(error) };
    }
    const labelled = await readLabelled(heldOut.path, challenger);
    const unseen = findUnseenRows(challenger.metadata, champion.metadata, labelled.times);
    if (unseen.none !== undefined) return { incomparable: unseen.none, notes: unseen.notes };
    const rows = unseen.keep === undefined ? labelled : takeRows(labelled, unseen.keep);
    const oursScored = await scoreModel(challenger, rows, classes);
    const theirsScored = await scoreModel(champion, rows, classes).catch((error: unknown) => {
      if (error instanceof ApiError && error.status < 500) return error.message;
      throw error;
    });
    if (typeof theirsScored === 'string')
      return { incomparable: `the champion cannot score the held-out rows: ${theirsScored}` };
    const pair: ScoredPair = {
      challenger: oursScored,
      champion: theirsScored,
      classes,
      rows: rows.rows,
      times: rows.times,
      entities: rows.entities,
      seed: Number.parseInt(heldOut.sha256.slice(0, 8), 16) || 0,
    };
    const { comparison, notes } = compareModels(pair, question);
    const told = [...unseen.notes, ...notes];
    // A challenger that is as good although the champion knew the rows has won all the same.
    if (unseen.doubt !== undefined) {
      if (comparison.verdict === 'worse' || comparison.verdict === 'inconclusive')
        return { incomparable: unseen.doubt, notes: told };
      told.push(unseen.doubt);
    }
    const sliced = question.slices.length > 0 ? compareSlices(pair, question, comparison) : undefined;
    if (sliced) told.push(...sliced.notes);
    return {
      comparison,
      metrics: { challenger: oursScored.metrics, champion: theirsScored.metrics },
      heldOut: describeRows(heldOut.sha256, rows, labelled.rows.length - rows.rows.length),
      ...(sliced ? { slices: sliced.slices } : {}),
      checks: await checkAll({ ours, theirs, pair, question, comparison, sliced }),
      notes: told,
    };
  } catch (error) {
    if (error instanceof ApiError && error.status < 500)
      return { incomparable: `the version cannot score its own held-out rows: ${error.message}` };
    throw error;
  } finally {
    await champion.release();
  }
}

async function checkAll(found: {
  ours: Opened;
  theirs: Opened;
  pair: ScoredPair;
  question: GateQuestion;
  comparison: NonNullable<Judgement['comparison']>;
  sliced: { slices: NonNullable<Judgement['slices']> } | undefined;
}): Promise<Check[]> {
  const { ours, theirs, pair, question, comparison, sliced } = found;
  const check = await import('./check-challenger.ts');
  const { checkLeakage } = await import('./check-leakage.ts');
  const championColumns = new Set(theirs.session.signature.columns.map(({ name }) => name));
  const checks = [
    check.checkSchema(ours.session.signature, theirs.session.signature),
    checkLeakage(ours.session.signature, pair.rows, pair.challenger, championColumns),
    await check.checkLatency(ours.session, theirs.session, pair.rows),
    check.checkMemory(ours.bytes, theirs.bytes),
  ];
  const calibration = check.checkCalibration(pair.challenger, pair.champion);
  if (calibration) checks.push(calibration);
  if (question.atLeast !== undefined)
    checks.push(check.checkFloor(comparison.metric, comparison.challenger, question.atLeast));
  if (sliced) checks.push(checkSlices(sliced.slices));
  return checks;
}

function checkSlices(slices: NonNullable<Judgement['slices']>): Check {
  const worse = slices.filter(({ result }) => result === 'worse');
  const small = slices.filter(({ result }) => result === 'too small to judge').length;
  const name = ({ column, value }: { column: string; value: string }) => `${column}=${value}`;
  const judged = `${slices.length - small} slices judged, ${small} too small to judge`;
  if (worse.length === 0) return { name: 'slices', state: 'passed', words: `none shown worse; ${judged}` };
  return { name: 'slices', state: 'blocked', words: `worse in ${worse.map(name).join(', ')}; ${judged}` };
}

const exampleCheck = (example: Judgement['example']): Check =>
  example === 'reproduced'
    ? { name: 'example', state: 'passed', words: 'its recorded example is reproduced' }
    : { name: 'example', state: 'unknown', words: 'it carries no example to reproduce' };

/** The challenger's classes, then those that only the champion knows. */
function unionOfClasses(
  ours: ModelSession['signature']['output'],
  theirs: ModelSession['signature']['output'],
): readonly ClassValue[] | undefined {
  if (ours.task === 'regression' || theirs.task === 'regression') return undefined;
  const known = new Set(ours.classes.map(String));
  const more = theirs.classes.filter((each) => !known.has(String(each)));
  return more.length === 0 ? ours.classes : ([...ours.classes, ...more] as ClassValue[]);
}

function takeRows(all: EvaluationRows, keep: readonly number[]): EvaluationRows {
  const { times, entities } = all;
  return {
    rows: keep.map((row) => all.rows[row] as Record<string, unknown>),
    targets: keep.map((row) => all.targets[row]),
    times: times && Float64Array.from(keep, (row) => times[row] as number),
    entities: entities && keep.map((row) => entities[row]),
  };
}

function describeRows(
  sha256: string,
  { rows, times }: EvaluationRows,
  leftOut: number,
): NonNullable<Judgement['heldOut']> {
  const known = times ? [...times].filter(Number.isFinite) : [];
  const ends =
    known.length > 0
      ? {
          from: known.reduce((a, b) => Math.min(a, b)),
          to: known.reduce((a, b) => Math.max(a, b)) + 1,
        }
      : {};
  return { sha256, rows: rows.length, leftOut, ...ends };
}

class CorruptFileError extends Error {
  override name = 'CorruptFileError';
}

interface Opened {
  session: ModelSession;
  /** By how much the process grew while the session was made. */
  bytes: number;
}

async function openSession(path: string, sha256: string | undefined): Promise<Opened> {
  const { createSession } = await import('../../models/index.ts');
  const bytes = await readFile(path);
  const actual = createHash('sha256').update(bytes).digest('hex');
  if (sha256 !== undefined && actual !== sha256) {
    throw new CorruptFileError(`the sha256 of its stored file is ${actual}, not the recorded ${sha256}`);
  }
  const before = process.memoryUsage.rss();
  const session = await createSession(bytes);
  return { session, bytes: Math.max(0, process.memoryUsage.rss() - before) };
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
