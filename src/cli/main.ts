import { runCli } from './run-cli.ts';

process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  // `tidemill runs | head` closes the pipe early, which is no failure.
  if (error.code === 'EPIPE') process.exit(0);
});

process.exitCode = await runCli(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  cwd: process.cwd(),
});
// Native libraries may keep the loop alive after the work is done.
setTimeout(() => process.exit(), 1000).unref();
