import { Command, CommanderError } from 'commander';
import { COMMANDS } from './command-list.ts';
import type { Act } from './terminal/act.ts';
import { CliError, EXIT_CODES } from './terminal/cli-error.ts';
import { commandPrefix, withCommandPrefix } from './terminal/command-prefix.ts';
import { readVersion } from './terminal/read-version.ts';
import { createTerminal, type Io } from './terminal/terminal.ts';

/**
 * Runs one command line in this process and answers its exit status (`EXIT_CODES`). Nothing is thrown: failures
 * are printed, as one line or, under `--json`, as `{"error_code","message"}`, with `details` where there are any, on stderr.
 */
export async function runCli(argv: string[], io: Io): Promise<number> {
  const json = argv.includes('--json');
  try {
    const name = argv.find((word) => !word.startsWith('-'));
    // The completion script tells the options of every command.
    const program = await buildProgram(io, { only: name === 'completion' ? '*' : name, json });
    await program.parseAsync(argv, { from: 'user' });
    return EXIT_CODES.ok;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT_CODES.ok;
      if (json) writeError(io, 'USAGE', error.message.replace(/^error: /, ''), undefined);
      return EXIT_CODES.usage;
    }
    return reportFailure(error, io, json);
  }
}

/**
 * The command tree. `only` names the one command that is imported and configured, the others are names; `help` and
 * `*` configure all.
 */
export async function buildProgram(
  io: Io,
  { only, json = false }: { only?: string | undefined; json?: boolean } = {},
): Promise<Command> {
  const program = new Command('tidemill')
    .description(
      'Runs the whole life of a machine-learning model: track, register, serve, roll out, roll back.',
    )
    .version(readVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help of a command')
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => void io.stdout.write(text.replaceAll('$ tidemill ', `$ ${commandPrefix(io.env)} `)),
      writeErr: (text) => void io.stderr.write(text),
      getOutHelpWidth: () => io.stdout.columns ?? 100,
      getErrHelpWidth: () => io.stderr.columns ?? 100,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      outputError: (text, write) => {
        // Under --json the frame prints the one error document instead.
        if (!json) write(text);
      },
    })
    .addHelpText(
      'after',
      `
Start here:
  $ tidemill up                                    the platform on http://127.0.0.1:7070
  $ tidemill train examples/iris/iris.csv --target species --name iris --promote
  $ tidemill predict iris examples/iris/iris.csv

Every command takes --json and --help. Exit status: 0 done, 1 failed, 2 wrong usage,
3 no server answers, 4 refused by the gate.`,
    );

  for (const entry of COMMANDS) {
    const command = program.command(entry.name).summary(entry.summary).description(entry.summary);
    command.helpGroup(entry.group);
    if (only !== entry.name && only !== 'help' && only !== '*') continue;
    (await entry.load()).configure(command, createAct(io));
    addJsonOption(command, entry.json ?? 'print one JSON document instead of text');
  }
  return program;
}

function createAct(io: Io): Act {
  return (run) =>
    async (...args) => {
      const command = args.at(-1) as Command;
      await run(createTerminal(io, { json: command.optsWithGlobals()['json'] === true }), ...args);
    };
}

/** A command may have its own `--json [file]`; then those above it must not take the flag from it. */
function addJsonOption(command: Command, what: string): void {
  for (const child of command.commands) addJsonOption(child, what);
  const takesFile = (each: Command) =>
    each.options.some(({ long, optional }) => long === '--json' && optional);
  if (takesFile(command) || command.commands.some(takesFile)) return;
  command.option('--json', what);
}

function reportFailure(error: unknown, io: Io, json: boolean): number {
  const terminal = createTerminal(io, { json });
  terminal.closeBar();
  const isExpected = error instanceof CliError;
  const code = isExpected ? error.code : (codeOf(error) ?? 'FAILED');
  const message = withRemedy(error);
  if (json) writeError(io, code, message, isExpected ? error.details : undefined);
  else io.stderr.write(`error: ${withCommandPrefix(message, io.env)}\n`);
  if (!isExpected && io.env['TIDEMILL_DEBUG'] && error instanceof Error) io.stderr.write(`${error.stack}\n`);
  return EXIT_CODES[isExpected ? error.exit : 'failed'];
}

function writeError(
  io: Io,
  code: string,
  message: string,
  details: Record<string, unknown> | undefined,
): void {
  io.stderr.write(`${JSON.stringify({ error_code: code, message, ...(details && { details }) })}\n`);
}

function codeOf(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}

const REMEDIES: Record<string, string> = {
  ENOSPC: 'the disk is full: make room, or choose a folder on another disk',
  EROFS: 'the disk is read-only: choose another folder',
  EACCES: 'permission is missing: choose a folder that you may write to',
};

/** The operating system's errors name a path; what to do about it they do not. */
function withRemedy(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const remedy = REMEDIES[(error as NodeJS.ErrnoException).code ?? ''];
  return remedy === undefined ? error.message : `${error.message}; ${remedy}`;
}
