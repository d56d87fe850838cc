import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createModelVersionStore, type ModelVersion } from '../../registry/index.ts';
import { lookAlpha } from '../../statistics/index.ts';
import { countGateLook } from '../commands.ts';
import { describeComparison, toEvidence } from '../decide-promotion.ts';
import { rolloutTimes } from '../delivery-policy.ts';
import type { Judgement } from '../judge/judge-input.ts';
import { questionOf } from '../promote-model.ts';
import type { AdvancerDeps, Transition } from './advance-rollouts.ts';
import type { Looks, Rollout } from './rollout-store.ts';

/** When the labels are looked at, as shares of the watch: few looks, each with much of the alpha. */
const LOOKS_AT = [1 / 8, 1 / 4, 1 / 2, 1];
/** Below this a comparison tells nothing, and a look would be wasted. */
const FEWEST_ROWS = 50;
/** A watch shorter than this compares by shorter blocks than days. */
const BY_DAYS_FROM_MS = 3 * 86_400_000;
const BLOCKS = 10;
/** Blocks of a few days cannot tell how much days differ: what is shown by them must be shown more strongly. */
const SHORT_ALPHA_SHARE = 0.1;

type Seen = Pick<Rollout, 'looks' | 'evidence' | 'lookedAt'>;

/**
 * After 100 %: judges the predecessor against the new champion on the labelled rows since the promotion, by the same
 * gate and with looks of its own. A predecessor that is better gets its place back.
 */
export function createChampionWatch(deps: AdvancerDeps) {
  const { database, clock, files, log } = deps;
  const versions = createModelVersionStore(database.reader);

  async function look(rollout: Rollout): Promise<{ transition: Transition } | { noted: Seen } | undefined> {
    const now = clock.now();
    const { watchMs } = rolloutTimes(rollout.policy);
    const since = now - (rollout.promotedAt ?? rollout.startedAt);
    const due = LOOKS_AT.filter((share) => since >= share * watchMs).length;
    const done = rollout.looks['watch']?.n ?? 0;
    if (due <= done) return undefined;
    const isLast = due === LOOKS_AT.length;
    const judged = await judgePredecessor(rollout, now, since);
    const k = judged?.k ?? rollout.looks['watch']?.k ?? 0;
    const looks: Looks = { ...rollout.looks, watch: { k, n: due } };
    const evidence = { ...rollout.evidence, watch: judged?.evidence ?? { labelled: 0 } };
    const seen: Seen = { looks, evidence, lookedAt: now };
    const { candidate, champion } = rollout;
    const comparison = judged?.judgement.comparison;
    const words = comparison
      ? describeComparison(comparison, {
          challenger: champion,
          champion: candidate,
          look: judged.look,
          what: 'rows labelled since',
        })
      : (judged?.judgement.incomparable ?? judged?.why ?? 'no labelled rows came');
    if (comparison?.verdict === 'better') {
      const summary = `version ${champion} is better than ${candidate}, which took its place, and gets it back: ${words}`;
      return {
        transition: {
          change: { ...seen, state: 'undone', endedAt: now, weight: 0, note: summary },
          effect: 'undo',
          action: 'champion.undo',
          verdict: 'worse',
          outcome: 'undone',
          summary,
          evidence: judged?.evidence ?? {},
        },
      };
    }
    if (!isLast) return { noted: seen };
    const summary = `the watch is over, version ${candidate} stays: ${words}`;
    return {
      transition: {
        change: { ...seen, state: 'done', endedAt: now, note: summary },
        effect: 'none',
        action: 'rollout.done',
        verdict: comparison === undefined ? 'incomparable' : turned(comparison.verdict),
        outcome: 'done',
        summary,
        evidence: judged?.evidence ?? {},
      },
    };
  }

  async function judgePredecessor(rollout: Rollout, now: number, sinceMs: number) {
    const { model, candidate, champion, gate, promotedAt, startedAt } = rollout;
    const predecessor = await versions.find(model, champion);
    const serving = await versions.find(model, candidate);
    if (!log || !predecessor?.servable || !serving?.servable) return undefined;
    const root = deps.workFolder ?? tmpdir();
    await mkdir(root, { recursive: true });
    const folder = await mkdtemp(join(root, 'watch-'));
    try {
      const outPath = join(folder, 'labelled.parquet');
      const { schema, targetName } = await readSchema(predecessor, serving);
      const { rows, digest } = await log.exportLabelled({
        model,
        from: promotedAt ?? startedAt,
        to: now + 1,
        schema,
        targetName,
        outPath,
      });
      if (rows < FEWEST_ROWS)
        return {
          why: `${rows} labelled rows, ${FEWEST_ROWS} are needed`,
          k: rollout.looks['watch']?.k ?? 0,
          look: undefined,
          judgement: {} as Partial<Judgement>,
          evidence: { labelled: rows } as Record<string, unknown>,
        };
      const k = await database.execute(countGateLook, {
        model,
        evaluation: `watch:${rollout.id}`,
        question: digest,
        at: now,
      });
      const isShort = sinceMs < BY_DAYS_FROM_MS;
      const look = { k, alpha: lookAlpha(gate.alpha, k) * (isShort ? SHORT_ALPHA_SHARE : 1) };
      const judgement = await deps.judge({
        challengerPath: await files.modelPath(predecessor),
        challengerSha256: predecessor.sha256,
        championPath: await files.modelPath(serving),
        championSha256: serving.sha256,
        heldOut: { path: outPath, sha256: digest.replace(/^sha256:/, '') },
        question: {
          ...questionOf(gate, look.alpha),
          atLeast: undefined,
          slices: [],
          ...(isShort ? { blockMs: Math.max(1000, Math.round(sinceMs / BLOCKS)) } : {}),
        },
      });
      const evidence: Record<string, unknown> = { labelled: rows, ...toEvidence(judgement, look) };
      return { k, look, judgement: judgement as Partial<Judgement>, evidence, why: undefined };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** Every column that either of the two looks at. */
  async function readSchema(
    one: ModelVersion,
    other: ModelVersion,
  ): Promise<{ schema: { name: string; type: string }[]; targetName: string }> {
    const { readSignature } = await import('../../models/index.ts');
    const signatures = await Promise.all(
      [one, other].map(async (version) => readSignature(await readFile(await files.modelPath(version)))),
    );
    const columns = new Map(
      signatures.flatMap(({ columns }) => columns.map(({ name, type }) => [name, { name, type }])),
    );
    return { schema: [...columns.values()], targetName: signatures[0]?.output.target ?? '' };
  }

  return { look };
}

/** The verdict on the predecessor as one on the version that serves. */
const turned = (verdict: 'better' | 'non-inferior' | 'worse' | 'inconclusive') =>
  verdict === 'worse' ? 'better' : verdict === 'better' ? 'worse' : verdict;
