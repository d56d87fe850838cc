import { type ChildProcess, fork } from 'node:child_process';
import { createInterface } from 'node:readline';
import { CliError } from '../terminal/cli-error.ts';

/** A platform that runs as a process of its own. */
export interface SpawnedUp {
  url: string;
  serveUrl: string;
  exited: Promise<void>;
  stop(): Promise<void>;
}

/**
 * Starts `tidemill up` with these arguments as a child process, in the folder of its project.
 *
 * @throws CliError with the child's own words when it does not start.
 */
export function spawnUp({
  args,
  cwd,
  env,
}: {
  args: string[];
  cwd: string;
  env: Record<string, string | undefined>;
}): Promise<SpawnedUp> {
  const entry = new URL(`../main${import.meta.url.slice(-3)}`, import.meta.url);
  const child: ChildProcess = fork(entry, ['up', '--json', ...args], {
    cwd,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { TIDEMILL_LOG_LEVEL: 'warn', ...env },
  });
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-4000);
  });
  const exited = new Promise<void>((done) => child.once('exit', () => done()));
  return new Promise((resolveStart, reject) => {
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).once('line', (line) => {
      const { url, serve_url } = JSON.parse(line) as { url: string; serve_url: string };
      resolveStart({
        url,
        serveUrl: serve_url,
        exited,
        async stop() {
          child.kill('SIGTERM');
          await exited;
        },
      });
    });
    void exited.then(() => reject(new CliError(`the platform did not start: ${lastError(stderr)}`)));
  });
}

/**
 * As `spawnUp`, on free ports where the ones wanted are taken.
 *
 * @param onTaken hears of it before the second start
 */
export async function spawnUpBesideOthers(
  { args, cwd, env }: Parameters<typeof spawnUp>[0],
  onTaken: () => void,
): Promise<SpawnedUp> {
  try {
    return await spawnUp({ args, cwd, env });
  } catch (error) {
    if (!/in use/.test((error as Error).message)) throw error;
    onTaken();
    return spawnUp({ args: [...args, '--port', '0', '--serve-port', '0'], cwd, env });
  }
}

function lastError(stderr: string): string {
  for (const line of stderr.trim().split('\n').reverse()) {
    try {
      const { message } = JSON.parse(line) as { message?: string };
      if (message) return message;
    } catch {
      // Not a line of ours.
    }
  }
  return stderr.trim();
}
