import type { ProcessName, Settings } from '../../settings.ts';
import { usageError } from '../terminal/cli-error.ts';
import type { Terminal } from '../terminal/terminal.ts';

/**
 * The settings of a long-running process, from its flags and the environment; warns about `TIDEMILL_*` variables
 * that are not settings. A wrong one is wrong usage: exit status 2.
 */
export async function readSettings<P extends ProcessName>(
  terminal: Terminal,
  name: P,
  flags: object,
): Promise<Settings<P>> {
  const { loadSettings, unknownSettings } = await import('../../settings.ts');
  const { env } = terminal.io;
  for (const warning of unknownSettings(env)) terminal.warn(warning);
  try {
    return loadSettings(name, env, { ...flags });
  } catch (error) {
    if ((error as Error).name === 'ConfigError') throw usageError((error as Error).message);
    throw error;
  }
}
