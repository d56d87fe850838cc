import { answerJudgeRequest } from './run-judge.ts';

const send = (answer: object): Promise<void> =>
  new Promise((resolve) => {
    if (process.send === undefined) resolve();
    else process.send(answer, () => resolve());
  });

// One judgement at a time: who sends the next has the answer to the one before.
process.on('message', (input) => void answerJudgeRequest(input, send));
process.once('disconnect', () => process.exit());
