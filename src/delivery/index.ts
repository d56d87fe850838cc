export { createDelivery, type Delivery } from './create-delivery.ts';
export type { DeliveryDeps, RolloutLog, VariantCounts } from './delivery-deps.ts';
export {
  type DeliveryPolicy,
  type GatePolicy,
  gatePolicySchema,
  type PolicyOf,
  type RolloutPolicy,
  rolloutPolicySchema,
} from './delivery-policy.ts';
export { type DeliveryRouteDeps, deliveryRoutes } from './delivery-routes.ts';
export { type Evaluation, evaluateModel } from './evaluate-model.ts';
export type { Explanation } from './explain-delivery.ts';
export { describeGain, type Gain } from './gain/gain.ts';
export { judgeChallenger } from './judge/judge-challenger.ts';
export type { Comparison, GateQuestion, JudgeInput, Judgement } from './judge/judge-input.ts';
export { createWarmJudge, type Judge, judgeInProcess } from './judge/run-judge.ts';
export type { LabelledRows } from './judge/score-model.ts';
export type { DecisionRecord, Outcome, Verdict } from './promotion/decision-store.ts';
export type { PromoteRequest, Promotion } from './promotion/promote-model.ts';
export { createDesiredStateReader } from './read-desired-state.ts';
export type { Rollout } from './rollout/rollout-store.ts';
export type { RolloutState } from './tables.ts';
