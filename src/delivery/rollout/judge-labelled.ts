import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ColumnType, readSignature } from '../../models/index.ts';
import { createModelVersionStore, type ModelVersion } from '../../registry/index.ts';
import { lookAlpha } from '../../statistics/index.ts';
import { countGateLook, endGateLook } from '../commands.ts';
import type { JudgeInput } from '../judge/judge-input.ts';
import { describeComparison, toEvidence } from '../promotion/decide-promotion.ts';
import { questionOf } from '../promotion/promote-model.ts';
import type { AdvancerDeps, JudgeLabelled } from './rollout-types.ts';

/** Below this a comparison tells nothing, and a look would be wasted. */
export const FEWEST_LABELLED = 100;
/** The judge holds every row in memory: of more of them it gets a sample, the same share of every day. */
const MOST_LABELLED = 200_000;
/** In so few days nothing could be shown day by day: blocks of consecutive rows are compared, each as one. */
const BY_DAYS_FROM_MS = 7 * 86_400_000;
const BLOCKS = 20;
/** Blocks within days cannot tell how much days differ: what is shown by them must be shown more strongly. */
const SHORT_ALPHA_SHARE = 0.1;

/**
 * Judges two versions on all rows that were labelled since `from`, whoever answered them: both score the same rows, in
 * the gate's own runtime and by its own test. A look whose judgement failed is spent by the next one that ends.
 */
export function createLabelledJudge(deps: AdvancerDeps): JudgeLabelled {
  const { database, files, log } = deps;
  const versions = createModelVersionStore(database.reader);

  return async function judgeLabelled(asked) {
    const { rollout, from, now, ledger, signal } = asked;
    const { model, gate } = rollout;
    const challenger = await versions.find(model, asked.challenger);
    const champion = await versions.find(model, asked.champion);
    if (!log || !challenger?.servable || !champion?.servable) return undefined;
    const root = deps.workFolder ?? tmpdir();
    await mkdir(root, { recursive: true });
    const folder = await mkdtemp(join(root, 'labelled-'));
    try {
      const outPath = join(folder, 'rows.parquet');
      const { schema, targetName } = await readSchema(challenger, champion);
      const to = now + 1;
      const { rows, of, digest } = await log.exportLabelled({
        model,
        from,
        to,
        schema,
        targetName,
        outPath,
        maxRows: MOST_LABELLED,
        signal,
      });
      const isSample = of !== undefined && of > rows;
      if (rows < FEWEST_LABELLED) {
        const words = `${rows} labelled rows, ${FEWEST_LABELLED} are needed`;
        return { k: undefined, comparison: undefined, words, evidence: { labelled: rows } };
      }
      const look =
        ledger === undefined ? undefined : { model, evaluation: ledger, question: digest, at: now };
      const k = look && (await database.execute(countGateLook, { ...look, isOpen: true }));
      const isShort = now - from < BY_DAYS_FROM_MS;
      const alpha = lookAlpha(asked.alpha, k ?? 1) * (isShort ? SHORT_ALPHA_SHARE : 1);
      const input: JudgeInput = {
        challengerPath: await files.modelPath(challenger),
        challengerSha256: challenger.sha256,
        championPath: await files.modelPath(champion),
        championSha256: champion.sha256,
        heldOut: { path: outPath, sha256: digest.replace(/^sha256:/, '') },
        question: {
          ...questionOf(gate, alpha),
          atLeast: undefined,
          slices: [],
          shownAlpha: gate.alpha,
          ...(isShort ? { blocks: BLOCKS } : {}),
        },
      };
      const judging = { lane: 'labels', model, version: rollout.candidate, isByHand: false } as const;
      const judgement = await deps.queue.enter(judging, (inTurn) =>
        inTurn(() => deps.judge(input, { signal }), signal),
      );
      if (look !== undefined && k !== undefined) await database.execute(endGateLook, { ...look, k });
      const { comparison, incomparable, broken } = judgement;
      const words = comparison
        ? describeComparison(comparison, {
            challenger: challenger.version,
            champion: champion.version,
            look: k === undefined ? undefined : { k, alpha },
            what: isSample ? `of ${of.toLocaleString('en-US')} rows labelled since` : 'rows labelled since',
          })
        : (incomparable ?? broken ?? 'nothing to compare on');
      const evidence = {
        labelled: rows,
        ...(isSample ? { of } : {}),
        ...toEvidence(judgement, k === undefined ? undefined : { k, alpha }),
      };
      return { k, comparison, words, evidence };
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  };

  /** Every column that either of the two looks at. */
  async function readSchema(
    one: ModelVersion,
    other: ModelVersion,
  ): Promise<{ schema: { name: string; type: ColumnType }[]; targetName: string }> {
    const signatures = await Promise.all(
      [one, other].map(async (version) => readSignature(await readFile(await files.modelPath(version)))),
    );
    const columns = new Map(
      signatures.flatMap(({ columns }) => columns.map(({ name, type }) => [name, { name, type }])),
    );
    return { schema: [...columns.values()], targetName: signatures[0]?.output.target ?? '' };
  }
}
