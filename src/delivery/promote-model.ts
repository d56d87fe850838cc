import { ApiError, type Clock, createKeyedQueue, createWorkLimit, type Database } from '../platform/index.ts';
import {
  createChampionStore,
  createModelVersionStore,
  type ModelFiles,
  type ModelVersion,
  moveChampion,
  notServable,
  recordRefusal,
  type ServingSignal,
} from '../registry/index.ts';
import type { Judgement } from './judge-challenger.ts';
import type { Judge } from './run-judge.ts';

export interface DeliveryDeps {
  database: Database;
  clock: Clock;
  files: ModelFiles;
  moved: ServingSignal;
  judge: Judge;
}

export interface PromoteRequest {
  name: string;
  version: number;
  actor: string;
  reason?: string;
  /** Promote without, or against, the comparison; needs a reason. */
  force?: boolean;
  /** Ends waiting and judging; what serves is moved or not, never half. */
  signal?: AbortSignal;
}

/** Judges at once, since each takes the memory of two models and of DuckDB. */
const JUDGES_AT_ONCE = 1;
const PROMOTIONS_WAITING = 16;

export interface Decision {
  verdict: 'already serving' | 'first' | 'not worse' | 'forced';
  summary: string;
  evidence?: Record<string, unknown>;
}

export interface Promotion {
  name: string;
  from: number | undefined;
  to: number;
  changed: boolean;
  decision: Decision;
}

/**
 * Lets a version serve. Where a champion serves, the version must not be worse than it on the version's own held-out
 * rows; without a comparison only `force` with a reason promotes. A version that cannot be loaded, or that does not
 * reproduce its recorded example, is never promoted.
 *
 * One model's promotions follow each other; a move that comes from elsewhere meanwhile is RESOURCE_CONFLICT.
 */
export function createPromoter({ database, clock, files, moved, judge }: DeliveryDeps) {
  const champions = createChampionStore(database.reader);
  const versions = createModelVersionStore(database.reader);
  const waiting = PROMOTIONS_WAITING;
  const oneByOne = createKeyedQueue({ waiting, what: 'promotions of this model' });
  const judging = createWorkLimit({ running: JUDGES_AT_ONCE, waiting, what: 'promotions' });

  async function promote(request: PromoteRequest): Promise<Promotion> {
    const { name, version, actor, force = false, signal } = request;
    const reason = request.reason?.trim() || undefined;
    if (force && reason === undefined) {
      throw new ApiError(
        'INVALID_PARAMETER_VALUE',
        'A forced promotion needs a reason: --force --reason "…"',
      );
    }
    const challenger = await versions.get(name, version);
    const current = await champions.find(name);
    const expected = { version: current?.version, revision: (await champions.lastMove(name))?.revision };
    if (current?.version === version) {
      return {
        name,
        from: version,
        to: version,
        changed: false,
        decision: { verdict: 'already serving', summary: `version ${version} serves already` },
      };
    }
    if (!challenger.servable) throw notServable(challenger);
    const champion = current && (await versions.get(name, current.version));
    const judgement = await judging(() => judgeAgainst(challenger, champion, signal), signal);
    const outcome = decide(judgement, { challenger, champion, force, reason });
    if ('refusal' in outcome) {
      await database.execute(recordRefusal, {
        name,
        cause: {
          action: 'promote-refused',
          actor,
          ...(reason === undefined ? {} : { reason }),
          evidence: {
            from: champion?.version ?? null,
            to: version,
            why: outcome.refusal,
            ...outcome.evidence,
          },
          at: clock.now(),
        },
      });
      throw new ApiError('RESOURCE_CONFLICT', outcome.refusal, { evidence: outcome.evidence });
    }
    const { from } = await database.execute(moveChampion, {
      name,
      version,
      expected,
      cause: {
        action: 'promote',
        actor,
        ...(reason === undefined ? {} : { reason }),
        evidence: { verdict: outcome.verdict, summary: outcome.summary, ...outcome.evidence },
        at: clock.now(),
      },
    });
    moved.notify();
    return { name, from, to: version, changed: true, decision: outcome };
  }

  async function judgeAgainst(
    challenger: ModelVersion,
    champion: ModelVersion | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Judgement> {
    const challengerPath = await files.modelPath(challenger);
    const challengerSha256 = challenger.sha256;
    if (!champion) return judge({ challengerPath, challengerSha256 }, { signal });
    if (!champion.servable) {
      const judgement = await judge({ challengerPath, challengerSha256 }, { signal });
      return {
        ...judgement,
        incomparable: `the champion cannot score: ${champion.notServableReason ?? 'it has no model file'}`,
      };
    }
    const sha256 = challenger.heldoutSha256;
    const input = {
      challengerPath,
      challengerSha256,
      championPath: await files.modelPath(champion),
      championSha256: champion.sha256,
      ...(sha256 === undefined ? {} : { heldOut: { path: await files.heldOutPath(sha256), sha256 } }),
    };
    return judge(input, { signal });
  }

  return {
    /** See above; waits for its turn among the promotions of the same model. */
    promote: (request: PromoteRequest): Promise<Promotion> =>
      oneByOne(request.name, () => promote(request), request.signal),
  };
}

interface Case {
  challenger: ModelVersion;
  champion: ModelVersion | undefined;
  force: boolean;
  reason: string | undefined;
}

type Outcome = Decision | { refusal: string; evidence: Record<string, unknown> };

/** Turns what was measured into a decision. */
export function decide(judgement: Judgement, { challenger, champion, force, reason }: Case): Outcome {
  const { name, version } = challenger;
  const evidence = toEvidence(judgement);
  if (judgement.broken !== undefined) {
    return { refusal: `Version ${version} of '${name}' cannot serve: ${judgement.broken}`, evidence };
  }
  if (!champion) {
    return {
      verdict: 'first',
      summary: 'nothing served before, so there was nothing to compare with',
      evidence,
    };
  }
  const how = `To promote it all the same: tidemill promote ${name}/${version} --force --reason "…"`;
  const { comparison, incomparable } = judgement;
  if (!comparison) {
    const why = `not compared with version ${champion.version}: ${incomparable ?? 'nothing to compare on'}`;
    if (force) return { verdict: 'forced', summary: `${why}; forced: ${reason}`, evidence };
    return { refusal: `Version ${version} of '${name}' was ${why}. ${how}`, evidence };
  }
  const { metric, rows, tolerance, standardError } = comparison;
  const measured = `${metric} ${format(comparison.challenger)} against ${format(comparison.champion)} of version ${champion.version} on ${rows} held-out rows (difference ${format(comparison.difference)} ± ${format(standardError)}, tolerance ${format(tolerance)}; lower is better)`;
  if (comparison.verdict === 'not worse') return { verdict: 'not worse', summary: measured, evidence };
  if (force) return { verdict: 'forced', summary: `worse: ${measured}; forced: ${reason}`, evidence };
  return { refusal: `Version ${version} of '${name}' is worse: ${measured}. ${how}`, evidence };
}

function toEvidence(judgement: Judgement): Record<string, unknown> {
  const { comparison, metrics, heldOut, example, incomparable, broken } = judgement;
  return {
    example,
    ...(broken === undefined ? {} : { broken }),
    ...(incomparable === undefined ? {} : { incomparable }),
    ...(heldOut ? { held_out: heldOut } : {}),
    ...(metrics ? { metrics } : {}),
    ...(comparison
      ? {
          comparison: {
            metric: comparison.metric,
            challenger: comparison.challenger,
            champion: comparison.champion,
            difference: comparison.difference,
            standard_error: comparison.standardError,
            tolerance: comparison.tolerance,
            rows: comparison.rows,
            verdict: comparison.verdict,
          },
        }
      : {}),
  };
}

const format = (value: number) => String(Number(value.toPrecision(4)));
