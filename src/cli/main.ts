import { writeSync } from 'node:fs';
import { runCli } from './run-cli.ts';
import { EXIT_CODES } from './terminal/cli-error.ts';

let isOver = false;
/** How Node ends when nothing is left that could settle what is awaited. */
const UNSETTLED = 13;

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // `tidemill runs | head` closes the pipe early, which is no failure.
  if (error.code !== 'EPIPE') return;
  isOver = true;
  process.exit(0);
});

process.on('exit', (code) => {
  if (isOver || (code !== EXIT_CODES.ok && code !== UNSETTLED)) return;
  // Such as a project file that waits for ever, or ends the process: a check in CI must not pass by it.
  writeSync(
    2,
    'error: the command ended before it was done: what it ran, such as a project file, never came back\n',
  );
  process.exitCode = EXIT_CODES.failed;
});

process.exitCode = await runCli(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
});
isOver = true;
// Native libraries may keep the loop alive after the work is done.
setTimeout(() => process.exit(), 1000).unref();
