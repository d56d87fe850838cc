import { answerJudgeRequest } from './run-judge.ts';

process.once('message', (input) => {
  void answerJudgeRequest(input, (answer) => process.send?.(answer, () => process.disconnect()));
});
process.once('disconnect', () => process.exit());
