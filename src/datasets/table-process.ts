import { answerTableWork } from './table-work.ts';

// The work of a server that has gone is nobody's.
process.once('disconnect', () => process.exit(1));
process.once('message', (work) => {
  void answerTableWork(work, (answer) => process.send?.(answer, () => process.exit(0)));
});
