export { type DeliveryRouteDeps, deliveryRoutes } from './delivery-routes.ts';
export { type Evaluation, evaluateModel } from './evaluate-model.ts';
export { type JudgeInput, type Judgement, judgeChallenger } from './judge-challenger.ts';
export { createDesiredStateReader } from './read-desired-state.ts';
export { type Judge, judgeInProcess } from './run-judge.ts';
export type { LabelledRows } from './score-model.ts';
