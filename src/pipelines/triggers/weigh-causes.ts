import type { PipelineDeps } from '../pipeline-deps.ts';
import type { RetrainPolicy } from '../project/project-schema.ts';
import { estimateGain, type GainEstimate, gainToDetail, isWeighed, notWorthwhile } from './estimate-gain.ts';
import type { Cause } from './find-causes.ts';

/** As many as a long alarm may have behind it. */
const WINDOWS_SEEN = 100;

export interface WeighedCauses {
  /** With what a retraining can be expected to win back in their detail. */
  worthwhile: Cause[];
  heldBack: { cause: Cause; reason: string }[];
}

/** Says of each cause whether what it may win back is worth a retraining. */
export function createCauseScale({ windows }: Pick<PipelineDeps, 'windows'>) {
  async function estimate(
    model: string,
    version: number | undefined,
    since: number | undefined,
  ): Promise<GainEstimate> {
    if (version === undefined) return { unknown: 'no version serves' };
    return estimateGain(await windows(model, { version: String(version), limit: WINDOWS_SEEN }), since);
  }

  return {
    /** What a retraining now can be expected to win back, by the newest labelled windows. */
    estimate,

    async weigh(
      {
        model,
        version,
        policy,
      }: { model: string; version: number | undefined; policy: RetrainPolicy | undefined },
      causes: readonly Cause[],
    ): Promise<WeighedCauses> {
      const found: WeighedCauses = { worthwhile: [], heldBack: [] };
      for (const cause of causes) {
        if (!isWeighed(cause)) {
          found.worthwhile.push(cause);
          continue;
        }
        const gain = await estimate(model, version, cause.since);
        const weighed = { ...cause, detail: { ...cause.detail, expected_gain: gainToDetail(gain) } };
        const reason = notWorthwhile(gain, policy?.minimumGain ?? 0);
        if (reason === undefined) found.worthwhile.push(weighed);
        else found.heldBack.push({ cause: weighed, reason });
      }
      return found;
    },
  };
}
