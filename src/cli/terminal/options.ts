import { type Command, InvalidArgumentError } from 'commander';
import { DEFAULTS } from '../../setting-defaults.ts';
import { usageError } from './cli-error.ts';

/** Adds `--url`, for commands that call the control plane. */
export function withUrl(command: Command): Command {
  return command.option(
    '--url <url>',
    'the control plane (default: $TIDEMILL_URL, else http://127.0.0.1:7070)',
  );
}

/** Adds `--serve-url`, for commands that call a model server. */
export function withServeUrl(command: Command): Command {
  return command.option(
    '--serve-url <url>',
    'the model server (default: $TIDEMILL_SERVE_URL, else the one that the control plane knows)',
  );
}

/**
 * Adds `--data`. Neither it nor the options below have a default for commander, which could not tell it from a flag
 * that was given, and a flag wins over the variable.
 */
export function withData(command: Command, what: string): Command {
  return command.option('--data <dir>', `${what} (default: $TIDEMILL_DATA, else ${DEFAULTS.data})`);
}

/** Adds where a process listens, besides its port. */
export function withHost(command: Command): Command {
  return command
    .option('--host <host>', `address to listen on (default: $TIDEMILL_HOST, else ${DEFAULTS.host})`)
    .option('--insecure-no-auth', 'listen beyond this machine although nobody has to sign in');
}

/** Adds what every process that listens takes besides its port. */
export function withListening(command: Command): Command {
  return withHost(command).option(
    '--clock <clock>',
    'what tells the time: wall, or events, the newest timestamp of a prediction or label, for replays (default: $TIDEMILL_CLOCK, else wall)',
  );
}

/** Adds `--port`, the control plane's. */
export function withPort(command: Command): Command {
  return command.option(
    '--port <port>',
    `the control plane's port, 0 takes any free one (default: $TIDEMILL_PORT, else ${DEFAULTS.port})`,
  );
}

/** Adds `--serve-port`, the model server's. */
export function withServePort(command: Command): Command {
  return command.option(
    '--serve-port <port>',
    `the model server's port, 0 takes any free one (default: $TIDEMILL_SERVE_PORT, else ${DEFAULTS.servePort})`,
  );
}

/** Adds examples under the help of a command. */
export function withExamples(command: Command, examples: [string, string][]): Command {
  const width = Math.max(...examples.map(([line]) => line.length));
  const lines = examples.map(([line, what]) =>
    what ? `  $ ${line.padEnd(width)}  # ${what}` : `  $ ${line}`,
  );
  return command.addHelpText('after', `\nExamples:\n${lines.join('\n')}`);
}

export function parseCount(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1) throw new InvalidArgumentError('It is a whole number from 1.');
  return count;
}

export function parseSeed(text: string): number {
  if (!/^\d{1,9}$/.test(text))
    throw new InvalidArgumentError('A seed is a whole number from 0 to 999999999.');
  return Number(text);
}

export function parseShare(text: string): number {
  const share = Number(text);
  if (!(share > 0 && share < 1))
    throw new InvalidArgumentError('A share is a number between 0 and 1, such as 0.2.');
  return share;
}

export function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (!(seconds > 0)) throw new InvalidArgumentError('It is a number of seconds above 0.');
  return seconds;
}

/** `50,100` as numbers. */
export function parseCounts(text: string): number[] {
  return text.split(',').map((part) => parseCount(part.trim()));
}

/** Collects `--feature name=expression`; the expression may hold more equals signs. */
export function collectExpression(text: string, expressions: Record<string, string> = {}) {
  const at = text.indexOf('=');
  const name = text.slice(0, at).trim();
  if (at < 1 || name === '')
    throw new InvalidArgumentError('Write it as name=expression, such as hour=hour(date).');
  if (Object.hasOwn(expressions, name)) throw new InvalidArgumentError(`${name} is given twice.`);
  return { ...expressions, [name]: text.slice(at + 1).trim() };
}

/** Collects a repeated `--set key=value`; numbers and booleans are read as such. */
export function collectSetting(text: string, settings: Record<string, string | number | boolean> = {}) {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Write it as key=value, such as trees=150.');
  return { ...settings, [text.slice(0, at)]: parseValue(text.slice(at + 1)) };
}

function parseValue(text: string): string | number | boolean {
  if (text === 'true' || text === 'false') return text === 'true';
  return text.trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : text;
}

/** `MODEL`, `MODEL/VERSION` or `MODEL@ALIAS` as its parts. */
export function parseModelRef(text: string): { name: string; version?: string; alias?: string } {
  const match = /^([^/@]+)(?:\/(\d+)|@([\w-]+))?$/.exec(text);
  if (!match?.[1]) throw usageError(`${text} names no model: write NAME, NAME/VERSION or NAME@ALIAS`);
  return {
    name: match[1],
    ...(match[2] !== undefined && { version: match[2] }),
    ...(match[3] !== undefined && { alias: match[3] }),
  };
}
