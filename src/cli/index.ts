export { runCli } from './run-cli.ts';
export type { Io } from './terminal/terminal.ts';
