import type { infer as Infer, ZodObject, ZodType } from 'zod';
import { nearestName } from './nearest-name.ts';

/** A setting is wrong: the message names the variable or flag, its value and what would be right. */
export class ConfigError extends Error {
  override name = 'ConfigError';
}

export type Environment = Record<string, string | undefined>;

/**
 * Reads the settings that `schema` names (`TIDEMILL_PORT` …) from the environment; a flag of the same name
 * (`--port`, given as `port`) wins. Empty variables count as not set. A key's `.describe()` says what is right.
 *
 * @throws ConfigError that tells every wrong setting, one a line.
 */
export function loadConfig<S extends ZodObject>(
  schema: S,
  env: Environment,
  flags: Record<string, unknown> = {},
): Infer<S> {
  const given: Record<string, unknown> = {};
  const sources: Record<string, string> = {};
  for (const variable of Object.keys(schema.shape)) {
    const flag = flags[flagKey(variable)];
    if (flag !== undefined) {
      given[variable] = flag;
      sources[variable] = flagName(variable);
    } else if (env[variable] !== undefined && env[variable] !== '') {
      given[variable] = env[variable];
      sources[variable] = variable;
    }
  }
  const result = schema.safeParse(given);
  if (result.success) return result.data as Infer<S>;
  throw new ConfigError(
    result.error.issues
      .map((issue) => {
        const variable = String(issue.path[0]);
        const source = sources[variable];
        const right = descriptionOf(schema.shape[variable] as ZodType | undefined);
        const expected = right === undefined ? issue.message : `it must be ${right}`;
        if (source === undefined) return `${variable} (${flagName(variable)}) is not set; ${expected}`;
        return `${source}=${shown(variable, given[variable])} is wrong: ${expected}`;
      })
      .join('\n'),
  );
}

/**
 * What to warn about: `TIDEMILL_*` variables that no schema knows, each with the name that was probably meant.
 *
 * @param known the schemas of every slice, or names of variables.
 */
export function findUnknownVariables(env: Environment, known: Iterable<ZodObject | string>): string[] {
  const names = [...known].flatMap((item) => (typeof item === 'string' ? [item] : Object.keys(item.shape)));
  const wanted = new Set(names);
  return Object.keys(env)
    .filter((name) => name.startsWith('TIDEMILL_') && !wanted.has(name))
    .map((name) => {
      const nearest = nearestName(name, wanted);
      return `${name} is not a setting of Tidemill${nearest === undefined ? '' : `; did you mean ${nearest}?`}`;
    });
}

function descriptionOf(schema: ZodType | undefined): string | undefined {
  for (let at: ZodType | undefined = schema; at !== undefined; ) {
    if (at.description !== undefined) return at.description;
    at =
      (at._zod.def as { innerType?: ZodType; in?: ZodType }).innerType ??
      (at._zod.def as { in?: ZodType }).in;
  }
  return undefined;
}

/** TIDEMILL_SERVE_PORT -> servePort, as commander names `--serve-port`. */
function flagKey(variable: string): string {
  return words(variable)
    .map((word, i) => (i === 0 ? word : word[0]?.toUpperCase() + word.slice(1)))
    .join('');
}

function flagName(variable: string): string {
  return `--${words(variable).join('-')}`;
}

function words(variable: string): string[] {
  return variable
    .replace(/^TIDEMILL_/, '')
    .toLowerCase()
    .split('_');
}

const SECRET_NAME = /TOKEN|SECRET|PASSWORD|KEY/;

function shown(variable: string, value: unknown): string {
  if (SECRET_NAME.test(variable)) return '(hidden)';
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  // A URL may carry a password.
  return text.replace(/\/\/[^/@\s]*@/, '//(hidden)@');
}
