import { endWithParent, sendToParent } from '../../platform/index.ts';
import { type EvaluationRequest, scoreEvaluation } from './score-evaluation.ts';

// Who asked and is gone wants no answer.
endWithParent();
// One question at a time: who sends the next has the answer to the one before.
process.on('message', (request) => {
  void scoreEvaluation(request as EvaluationRequest)
    .then(
      (windows) => ({ windows }),
      (error: unknown) => ({ problem: error instanceof Error ? error.message : String(error) }),
    )
    .then((answer) => sendToParent(answer));
});
