import type { ModelVersion } from '../../registry/index.ts';
import { isMoreBetter } from '../delivery-policy.ts';
import type { Comparison, Judgement } from '../judge/judge-input.ts';
import type { Verdict } from './decision-store.ts';

interface Case {
  challenger: ModelVersion;
  champion: ModelVersion | undefined;
  force: boolean;
  reason: string | undefined;
  /** Which look at the evaluation set it was, and the alpha of all of them. */
  look?: { k: number; alpha: number } | undefined;
}

export interface GateDecision {
  passes: boolean;
  verdict: Verdict;
  summary: string;
  evidence: Record<string, unknown>;
}

/** Turns what was measured into a decision, in words that say what would change it. */
export function decidePromotion(judgement: Judgement, about: Case): GateDecision {
  const { challenger, champion, force, reason, look } = about;
  const { name, version } = challenger;
  const evidence = toEvidence(judgement, look);
  if (judgement.broken !== undefined) {
    const summary = `Version ${version} of '${name}' cannot serve: ${judgement.broken}`;
    return { passes: false, verdict: 'broken', summary, evidence };
  }
  const found = judge(judgement, version, champion, look);
  if (found.passes) return { ...found, evidence };
  if (force) {
    const summary = `${found.summary}; forced: ${reason}`;
    return { passes: true, verdict: 'forced', summary, evidence: { ...evidence, found: found.verdict } };
  }
  const how = `To promote it all the same: tidemill promote ${name}/${version} --force --reason "…"`;
  const summary = `Version ${version} of '${name}' ${REFUSED[found.verdict] ?? 'was refused:'} ${found.summary}. ${how}`;
  return { passes: false, verdict: found.verdict, summary, evidence };
}

const REFUSED: Partial<Record<Verdict, string>> = {
  worse: 'is worse:',
  inconclusive: 'is not shown to be as good:',
  incomparable: 'was',
  blocked: 'is stopped by a check:',
};

function judge(
  { comparison, incomparable, checks, example }: Judgement,
  version: number,
  champion: ModelVersion | undefined,
  look: Case['look'],
): Omit<GateDecision, 'evidence'> {
  const blocked = checks.filter(({ state }) => state === 'blocked');
  const stops = blocked.map(({ name, words }) => `${name}: ${words}`).join('; ');
  if (!champion) {
    if (blocked.length > 0) return { passes: false, verdict: 'blocked', summary: stops };
    const tried = example === 'reproduced' ? ' It reproduces its recorded example' : '';
    return {
      passes: true,
      verdict: 'first',
      summary: `nothing served before, so there was nothing to compare with.${tried}`,
    };
  }
  if (!comparison) {
    const summary = `not compared with version ${champion.version}: ${incomparable ?? 'nothing to compare on'}`;
    return { passes: false, verdict: 'incomparable', summary };
  }
  const { verdict } = comparison;
  const measured = describeComparison(comparison, { challenger: version, champion: champion.version, look });
  const passes = verdict === 'better' || verdict === 'non-inferior';
  if (passes && blocked.length > 0)
    return { passes: false, verdict: 'blocked', summary: `${stops} (${verdict} otherwise: ${measured})` };
  return { passes, verdict, summary: measured };
}

/** `log_loss 0.431 of version 4 against 0.44 of 3 on 5000 held-out rows, 7 days: better by 0.0088, between …`. */
export function describeComparison(
  comparison: Comparison,
  about: { challenger: number; champion: number; look: Case['look']; what?: string },
): string {
  const { challenger, champion, look, what = 'held-out rows' } = about;
  const { metric, method, rows, clusters, clusteredBy, estimate, lo, hi, alpha, margin } = comparison;
  const groups = {
    day: `${clusters} days`,
    block: `${clusters} blocks in time`,
    entity: `${clusters} entities`,
    row: 'independent rows',
  }[clusteredBy];
  const between =
    Number.isFinite(lo) && Number.isFinite(hi)
      ? `between ${format(lo)} and ${format(hi)}`
      : 'too few to say how surely';
  // Few groups count alike, so this is not quite the difference of the two values, in which rows count alike.
  const weighed = method === 't' && clusteredBy !== 'row' ? ' on their average' : '';
  const asked = look ? `, look ${look.k} at these rows` : '';
  const more =
    comparison.moreRows !== undefined && comparison.moreClusters !== undefined
      ? `. About ${comparison.moreRows} more rows${clusteredBy === 'row' ? '' : ` (${comparison.moreClusters} more ${clusteredBy === 'entity' ? 'entities' : clusteredBy === 'day' ? 'days' : 'blocks'})`} would decide`
      : '';
  return `${metric} ${format(comparison.challenger)} of version ${challenger} against ${format(comparison.champion)} of ${champion} on ${rows} ${what}, ${groups}: ${estimate < 0 ? 'worse' : 'better'} by ${format(Math.abs(estimate))}${weighed}, ${between} (α ${format(alpha)}${asked}; margin ${format(margin)}; ${isMoreBetter(metric) ? 'higher' : 'lower'} ${metric} is better)${more}`;
}

/** What the record and the audit keep of a judgement, as the wire has it. */
export function toEvidence(judgement: Judgement, look: Case['look']): Record<string, unknown> {
  const { comparison, metrics, heldOut, example, incomparable, broken, slices, checks, notes } = judgement;
  return {
    example,
    ...(broken === undefined ? {} : { broken }),
    ...(incomparable === undefined ? {} : { incomparable }),
    ...(heldOut
      ? {
          held_out: {
            sha256: heldOut.sha256,
            rows: heldOut.rows,
            left_out: heldOut.leftOut,
            ...(heldOut.from === undefined ? {} : { from: heldOut.from, to: heldOut.to }),
          },
        }
      : {}),
    ...(metrics ? { metrics } : {}),
    ...(comparison ? { comparison: writeComparison(comparison) } : {}),
    ...(look ? { look } : {}),
    ...(slices ? { slices } : {}),
    checks,
    ...(notes.length > 0 ? { notes } : {}),
  };
}

export function writeComparison(comparison: Comparison): Record<string, unknown> {
  const { marginFrom, clusteredBy, moreClusters, moreRows, lo, hi, shown, shownInterval, ...same } =
    comparison;
  return {
    ...same,
    lo: finite(lo),
    hi: finite(hi),
    margin_from: marginFrom,
    clustered_by: clusteredBy,
    ...(shownInterval
      ? {
          shown_interval: {
            alpha: shownInterval.alpha,
            lo: finite(shownInterval.lo),
            hi: finite(shownInterval.hi),
          },
        }
      : {}),
    ...(moreClusters === undefined ? {} : { more_clusters: moreClusters }),
    ...(moreRows === undefined ? {} : { more_rows: moreRows }),
    ...(shown?.mcnemar
      ? {
          mcnemar: {
            only_champion_right: shown.mcnemar.onlyChampionRight,
            only_challenger_right: shown.mcnemar.onlyChallengerRight,
            p: shown.mcnemar.p,
          },
        }
      : {}),
    ...(shown?.delong ? { delong: shown.delong } : {}),
  };
}

/** Under two clusters there is no interval. */
const finite = (value: number): number | null => (Number.isFinite(value) ? value : null);

const format = (value: number) => String(Number(value.toPrecision(4)));
