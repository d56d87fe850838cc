import { createStepWorkers } from '../../src/jobs/index.ts';
import { silentLogger } from './silent-logger.ts';

/** A parent for tests to kill: `node step-parent.ts <task>` starts a task and prints what it logs. */
const workers = createStepWorkers({
  entry: new URL('./step-process.ts', import.meta.url),
  size: 1,
  logger: silentLogger,
});
await workers.run(
  { name: process.argv[2] ?? 'spin', input: undefined },
  { onLog: (line) => console.log(`${line} in ${workers.pids().join()}`) },
);
