import { answerJudgeRequest } from './run-judge.ts';

const send = (answer: object): Promise<void> =>
  new Promise((resolve) => {
    if (process.send === undefined) resolve();
    else process.send(answer, () => resolve());
  });

process.once('message', (input) => {
  void answerJudgeRequest(input, send).finally(() => process.disconnect());
});
process.once('disconnect', () => process.exit());
