import { ApiError } from '../platform/index.ts';
import { createRegisteredModelStore } from '../registry/index.ts';
import type { DeliveryDeps } from './delivery-deps.ts';
import { readPolicy } from './delivery-policy.ts';
import { explainDelivery, explainGains } from './explain-delivery.ts';
import type { Gain } from './gain/gain.ts';
import { createGainStore } from './gain/gain-store.ts';
import { createJudgeQueue } from './judge/judge-queue.ts';
import { createWarmJudge } from './judge/run-judge.ts';
import { checkApproval } from './promotion/check-approval.ts';
import { createDecisionStore } from './promotion/decision-store.ts';
import { createChampionGuard } from './promotion/guard-champion-move.ts';
import { createPromoter } from './promotion/promote-model.ts';
import { type RollbackRequest, rollBackModel } from './promotion/roll-back-model.ts';
import { createDesiredStateReader } from './read-desired-state.ts';
import { createRolloutAdvancer } from './rollout/advance-rollouts.ts';
import { changeByHand, type HandRequest } from './rollout/change-by-hand.ts';
import { describeRollout } from './rollout/describe-rollout.ts';
import { createRolloutStore, type Rollout } from './rollout/rollout-store.ts';
import { UNDER_WAY } from './tables.ts';

export type Delivery = ReturnType<typeof createDelivery>;

/** The gate, rollouts and undo of every model, wired once. `advance` moves rollouts on; somebody has to call it. */
export function createDelivery(deps: DeliveryDeps) {
  const { database, policyOf } = deps;
  const warm = deps.judge ? undefined : createWarmJudge();
  const judge = deps.judge ?? (warm as NonNullable<typeof warm>).judge;
  const queue = createJudgeQueue();
  const promote = createPromoter({ ...deps, judge, queue });
  const rollouts = createRolloutStore(database.reader);
  const decisions = createDecisionStore(database.reader);
  const gains = createGainStore(database.reader);
  const models = createRegisteredModelStore(database.reader);
  const advancer = createRolloutAdvancer({ ...deps, judge, queue });

  async function show(model: string, id: string): Promise<Rollout> {
    await models.get(model);
    const found =
      id === CURRENT
        ? ((await rollouts.findUnderWay(model)) ?? (await rollouts.list(model, 1))[0])
        : await rollouts.find(id);
    if (found?.model === model) return found;
    const why = id === CURRENT ? `'${model}' has had no rollout` : `'${model}' has no rollout ${id}`;
    throw new ApiError('RESOURCE_DOES_NOT_EXIST', why);
  }

  async function byHand(model: string, id: string, request: Omit<HandRequest, 'rollout'>): Promise<Rollout> {
    for (let rollout = await show(model, id); ; ) {
      if (!UNDER_WAY.includes(rollout.state)) {
        throw new ApiError(
          'RESOURCE_CONFLICT',
          `No rollout of '${model}' is under way: ${describeRollout(rollout)}. To undo what serves: tidemill rollback ${model}`,
        );
      }
      try {
        return await changeByHand(deps, { ...request, rollout });
      } catch (error) {
        if (!(error instanceof ApiError && error.code === 'RESOURCE_CONFLICT')) throw error;
        const now = await show(model, rollout.id);
        // Where only more was seen of the same step, what was asked for still means the same.
        const isSameStep = now.state === rollout.state && now.step === rollout.step;
        if (now.epoch === rollout.epoch || !isSameStep) throw error;
        rollout = now;
      }
    }
  }

  return {
    promote,
    rollBack: (request: RollbackRequest) => rollBackModel(deps, request),

    /** Moves every rollout on that is due by the clock; cheap when none is. */
    advance: advancer.advance,

    /** Whether something goes on in the background that a later `advance` will take up; `onChange` tells of its end. */
    busy: advancer.busy,

    /** What is being judged, and what waits for its turn. */
    judgements: queue.list,

    /** `id` is that of a rollout, or `current`: the one that is under way, else the newest. */
    rollouts: {
      show,
      list: async (model: string) => {
        await models.get(model);
        return rollouts.list(model);
      },
      pause: (model: string, id: string, who: Who) => byHand(model, id, { ...who, what: 'pause' }),
      async resume(model: string, id: string, { skip, ...who }: Who & { skip?: boolean | undefined }) {
        if (!skip) return byHand(model, id, { ...who, what: 'resume' });
        const { approvers } = await readPolicy(policyOf, model);
        const by = (await show(model, id)).actor;
        const what = `pass a step of the rollout of '${model}'`;
        checkApproval(approvers, { actor: who.actor, what, by, made: 'began it' });
        return byHand(model, id, { ...who, what: 'skip' });
      },
      abort: (model: string, id: string, who: Who) => byHand(model, id, { ...who, what: 'abort' }),
    },

    decisions: {
      list: async (model: string, page: { before?: number | undefined; limit?: number } = {}) => {
        await models.get(model);
        return decisions.list({ model, ...page });
      },
      ofRollout: (rolloutId: string) => decisions.list({ rolloutId, limit: 1000 }),
    },

    /**
     * What followed of a decision that let a version in, by the labels that came later: of the gate's, or of the one that
     * made the version the champion. Undefined where no promotion followed, or nobody watched it.
     */
    async gainOf(decisionId: number): Promise<Gain | undefined> {
      const decision = await decisions.find(decisionId);
      return decision?.rolloutId === undefined ? undefined : gains.find(decision.rolloutId);
    },

    gains: {
      /** By the id of the rollout; some have none. */
      ofRollouts: (ids: readonly (string | undefined)[]) =>
        gains.findAll(ids.filter((id) => id !== undefined)),
    },

    /** How many rollouts wait for their next step; those that are only watched do not count. */
    activeRollouts: async (): Promise<number> =>
      (await rollouts.inStates(UNDER_WAY.filter((state) => state !== 'paused'))).length,

    pausedRollouts: async (): Promise<number> => (await rollouts.inStates(['paused'])).length,

    /** Every threshold, default and formula that decides about a model. */
    explain: async (model: string) => [
      ...explainDelivery(await readPolicy(policyOf, model)),
      ...explainGains(await gains.list(model, EXPLAINED_GAINS)),
    ],

    guardChampionMove: createChampionGuard(policyOf),
    desired: createDesiredStateReader(deps),

    /** Ends a judgement that is under way; rollouts are judged no more. */
    close(): void {
      advancer.close();
      warm?.close();
    },
  };
}

/** The newest promotions, of which it is told what they brought. */
const EXPLAINED_GAINS = 3;

const CURRENT = 'current';

export interface Who {
  actor: string;
  reason?: string | undefined;
}
