import { runCli } from '../../src/cli/run-cli.ts';

export interface CapturedCli {
  status: number;
  stdout: string;
  stderr: string;
  /** The one document on stdout under `--json`. */
  json: any;
}

/** Runs a command line in this process and keeps what it printed. */
export async function runCapturedCli(
  argv: string[],
  {
    env = {},
    cwd = process.cwd(),
    signal,
    isTTY = false,
    onStdout,
  }: {
    env?: Record<string, string>;
    cwd?: string;
    signal?: AbortSignal;
    isTTY?: boolean;
    onStdout?: (text: string) => void;
  } = {},
): Promise<CapturedCli> {
  const out: string[] = [];
  const err: string[] = [];
  const status = await runCli(argv, {
    stdout: {
      isTTY,
      write: (text) => {
        out.push(text);
        onStdout?.(text);
      },
    },
    stderr: { isTTY, write: (text) => err.push(text) },
    env,
    cwd,
    ...(signal && { signal }),
  });
  const stdout = out.join('');
  return {
    status,
    stdout,
    stderr: err.join(''),
    get json() {
      return JSON.parse(stdout);
    },
  };
}
