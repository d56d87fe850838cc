import { endWithParent } from '../platform/index.ts';
import { answerTableWork } from './table-work.ts';

// The work of a server that has gone is nobody's.
endWithParent();
process.once('message', (work) => {
  void answerTableWork(work, (answer) => process.send?.(answer, () => process.exit(0)));
});
