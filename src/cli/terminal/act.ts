import type { Terminal } from './terminal.ts';

/** Wraps a command's work into a commander action: makes the terminal, hands over arguments and options. */
export type Act = <A extends unknown[]>(
  run: (terminal: Terminal, ...args: A) => Promise<void>,
) => (...args: A) => Promise<void>;
