import { endWithParent } from '../../platform/index.ts';
import { answerJudgeRequest } from './run-judge.ts';

const send = (answer: object): Promise<void> =>
  new Promise((resolve) => {
    if (process.send === undefined) resolve();
    else process.send(answer, () => resolve());
  });

endWithParent();
// One judgement at a time: who sends the next has the answer to the one before.
process.on('message', (input) => void answerJudgeRequest(input, send));
