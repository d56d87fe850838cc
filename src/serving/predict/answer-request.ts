import { ApiError, type HotRequest } from '../../platform/index.ts';
import type { Variant } from '../contract.ts';
import { rowTextOf } from '../log/row-text.ts';
import type { ServingMetrics } from '../serving-metrics.ts';
import type { Candidate } from '../versions/candidate.ts';
import type { ServedVersion } from '../versions/served-version.ts';
import type { RequestContext } from './answer-rows.ts';
import type { Chosen } from './choose-model.ts';
import type { InputRow } from './join-answers.ts';
import { readCloudEvent } from './read-cloud-event.ts';
import type { PredictionRequest } from './read-prediction-request.ts';
import { type Draw, drawSides } from './split-traffic.ts';

/** A candidate that does not answer in this part of the time limit is a broken one: the champion still has the rest. */
const CANDIDATE_SHARE_OF_LIMIT = 4;
/** Rows that may wait for a shadow; more are dropped. */
const SHADOW_QUEUE_ROWS = 2000;

/**
 * Answers requests from the version they should meet. What a canary fails at, the champion answers; a shadow gets its
 * copies once the answer is made, and can only lose them.
 */
export function createRequestAnswerer(deps: {
  timeoutMs: number;
  random: () => number;
  metrics: ServingMetrics;
}) {
  const { metrics, random } = deps;
  const candidateLimitMs = Math.max(1, deps.timeoutMs / CANDIDATE_SHARE_OF_LIMIT);

  /** Answers from exactly this version. */
  function ask(
    served: ServedVersion,
    rows: InputRow[],
    context: RequestContext,
    request: HotRequest,
    limitMs?: number,
  ): Promise<string[]> {
    return served
      .submit(rows, context, () => request.isGone, limitMs)
      .then(
        () => context.texts,
        (error: unknown) => {
          if (isServerError(error)) served.countFailure(context.variant, context.timeMs);
          throw error;
        },
      );
  }

  /** Answers from the candidate, or when it fails from the champion, and then that is counted against the candidate. */
  async function askCandidate(
    { served }: Candidate,
    champion: ServedVersion,
    rows: InputRow[],
    context: RequestContext,
    request: HotRequest,
  ): Promise<string[]> {
    const { name, desired } = served;
    try {
      return await ask(
        served,
        fitRows(rows, champion, served),
        { ...context, variant: 'canary' },
        request,
        candidateLimitMs,
      );
    } catch (error) {
      if (request.isGone) throw error;
      const texts = await ask(champion, rows, { ...context, texts: [] }, request);
      metrics.canaryFallbacks.labels(name, desired.version).inc();
      if (!isServerError(error)) served.countFailure('canary', context.timeMs);
      return texts;
    }
  }

  function copyToShadow(
    { served }: Candidate,
    champion: ServedVersion,
    rows: InputRow[],
    context: RequestContext,
    draw: Draw,
  ): void {
    const isIn = (row: number) => draw.isInside[draw.isInside.length === 1 ? 0 : row] === true;
    const { ids = [], keys } = context;
    const picked = rows.map((_, row) => row).filter(isIn);
    if (picked.length === 0 || ids.length !== rows.length) return;
    if (served.depth + picked.length > SHADOW_QUEUE_ROWS && served.depth > 0) {
      metrics.shadowDropped.labels(served.name, served.desired.version).inc(picked.length);
      return;
    }
    const copies = fitRows(
      picked.map((row) => rows[row] as InputRow),
      champion,
      served,
    );
    const copied: RequestContext = {
      ...context,
      variant: 'shadow',
      ids: picked.map((row) => ids[row] as string),
      keys: keys && keys.length > 1 ? picked.map((row) => keys[row]) : keys,
      keepsIds: false,
      texts: [],
    };
    served.submit(copies, copied).catch((error: unknown) => {
      if (error instanceof ApiError && error.code === 'TOO_MANY_REQUESTS') {
        metrics.shadowDropped.labels(served.name, served.desired.version).inc(picked.length);
      } else served.countFailure('shadow', context.timeMs);
    });
  }

  async function askBySides(
    candidate: Candidate,
    champion: ServedVersion,
    rows: InputRow[],
    context: RequestContext,
    request: HotRequest,
    { isInside, keys }: Draw,
  ): Promise<string[]> {
    const [first] = isInside;
    const isOneSide = isInside.every((side) => side === first);
    if (isOneSide && first === true) return askCandidate(candidate, champion, rows, context, request);
    if (isOneSide) return ask(champion, rows, context, request);
    const texts: string[] = [];
    await Promise.all(
      [true, false].map(async (side) => {
        const places = rows.map((_, row) => row).filter((row) => isInside[row] === side);
        const own = places.map((row) => rows[row] as InputRow);
        const ownContext = { ...context, keys: keys && places.map((row) => keys[row]), texts: [] };
        const answered = side
          ? await askCandidate(candidate, champion, own, ownContext, request)
          : await ask(champion, own, ownContext, request);
        for (const [i, row] of places.entries()) texts[row] = answered[i] as string;
      }),
    );
    return texts;
  }

  async function askInRollout(
    candidate: Candidate,
    champion: ServedVersion,
    read: PredictionRequest,
    context: RequestContext,
    request: HotRequest,
  ): Promise<string> {
    const { rollout } = candidate;
    const names = champion.columnNames;
    const draw = drawSides(rollout, read.rows, request.headers, names, random);
    context.keys = draw.keys;
    if (rollout.mode === 'canary') {
      return join(await askBySides(candidate, champion, read.rows, context, request, draw), read.isList);
    }
    context.keepsIds = true;
    const texts = await ask(champion, read.rows, context, request);
    copyToShadow(candidate, champion, read.rows, context, draw);
    return join(texts, read.isList);
  }

  return function answerRequest(
    { served, variant, candidate }: Chosen,
    body: unknown,
    request: HotRequest,
  ): Promise<string> {
    const read = served.read(body);
    const context = contextOf(read, body, variant, request);
    if (candidate !== undefined) return askInRollout(candidate, served, read, context, request);
    const answered = ask(served, read.rows, context, request);
    return read.isList ? answered.then((texts) => join(texts, true)) : answered.then(firstOf);
  };
}

const firstOf = (texts: string[]): string => texts[0] as string;

function join(texts: string[], isList: boolean): string {
  return isList ? `{"predictions":[${texts.join(',')}]}` : firstOf(texts);
}

function contextOf(
  read: PredictionRequest,
  body: unknown,
  variant: Variant,
  request: HotRequest,
): RequestContext {
  const event = request.headers['ce-id'] === undefined ? undefined : readCloudEvent(request.headers);
  const [row] = read.rows;
  const isCopyable = !read.isList && (body as { features?: unknown }).features === row;
  return {
    variant,
    timeMs: read.timeMs ?? event?.timeMs,
    keys: undefined,
    cloudEvent: event?.text,
    rowText: isCopyable ? rowTextOf(request.text, row as InputRow) : undefined,
    ids: undefined,
    keepsIds: false,
    texts: [],
  };
}

/** Lists are in the champion's order of columns; another version may have another one. */
function fitRows(rows: InputRow[], champion: ServedVersion, other: ServedVersion): InputRow[] {
  const names = champion.columnNames;
  const others = other.columnNames;
  if (names.length === others.length && names.every((name, i) => name === others[i])) return rows;
  return rows.map((row) =>
    Array.isArray(row) ? Object.fromEntries(row.map((value, i) => [names[i] ?? `column ${i}`, value])) : row,
  );
}

function isServerError(error: unknown): boolean {
  return !(error instanceof ApiError) || error.status >= 500;
}
