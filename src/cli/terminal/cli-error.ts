/** What a command's exit status means; `docs/reference/cli.md` repeats this table and a test compares them. */
export const EXIT_CODES = {
  ok: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  refused: 4,
  interrupted: 130,
} as const;

export type ExitName = keyof typeof EXIT_CODES;

/** A failure that the user can act on: printed as one line without a stack, ends the command with `exit`. */
export class CliError extends Error {
  readonly exit: ExitName;
  readonly code: string;
  readonly details: Record<string, unknown> | undefined;

  constructor(
    message: string,
    options: { exit?: ExitName; code?: string; details?: Record<string, unknown> } = {},
  ) {
    super(message);
    this.name = 'CliError';
    this.exit = options.exit ?? 'failed';
    this.code = options.code ?? this.exit.toUpperCase();
    this.details = options.details;
  }
}

/** A wrong way of calling a command: exit status 2. */
export function usageError(message: string): CliError {
  return new CliError(message, { exit: 'usage' });
}
