import { endWithParent, sendToParent } from '../../platform/index.ts';
import { answerJudgeRequest } from './run-judge.ts';

endWithParent();
// One judgement at a time: who sends the next has the answer to the one before.
process.on('message', (input) => void answerJudgeRequest(input, sendToParent));
