import { existsSync } from 'node:fs';
import { access, constants, mkdtemp, rm, statfs, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { availableParallelism, freemem, totalmem } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import type { Command } from 'commander';
import { controlPlane, type HttpClient, modelServer } from './http/http-client.ts';
import { readSettings } from './launch/read-settings.ts';
import type { Act } from './terminal/act.ts';
import { CliError } from './terminal/cli-error.ts';
import {
  withData,
  withExamples,
  withPort,
  withServePort,
  withServeUrl,
  withUrl,
} from './terminal/options.ts';
import { formatBytes, type Io } from './terminal/terminal.ts';

type Verdict = 'ok' | 'warning' | 'failed';

export interface Finding {
  /** Set by `diagnose`: what the check is about. */
  about?: keyof typeof SUBJECTS;
  check: string;
  verdict: Verdict;
  found: string;
  remedy?: string;
}

const SUBJECTS = {
  machine: 'this machine',
  start: 'a platform started from here (--data, --port, --serve-port)',
  servers: 'the servers that commands from here talk to (--url, --serve-url)',
};

interface DoctorOptions {
  data: string;
  port: number;
  servePort: number;
  url?: string;
  serveUrl?: string;
}

const LOW_DISK_BYTES = 1e9;
const CLOCK_TOLERANCE_MS = 5000;

export function configureDoctor(command: Command, act: Act): void {
  withData(command, 'data folder that a platform from here would use');
  withServePort(withPort(command));
  command.action(
    act(async (terminal, options: { url?: string; serveUrl?: string }) => {
      const settings = await readSettings(terminal, 'up', options);
      const { servePortOf } = await import('../settings.ts');
      const findings = await diagnose(
        {
          ...options,
          data: settings.TIDEMILL_DATA,
          port: settings.TIDEMILL_PORT,
          servePort: servePortOf(settings),
        },
        terminal.io,
      );
      terminal.document({ ok: findings.every(({ verdict }) => verdict !== 'failed'), findings });
      const { colors } = terminal;
      const marks = { ok: colors.green('✓'), warning: colors.yellow('!'), failed: colors.red('✗') };
      let subject: Finding['about'];
      for (const { about, check, verdict, found, remedy } of findings) {
        if (about !== undefined && about !== subject) terminal.line(colors.bold(SUBJECTS[about]));
        subject = about;
        terminal.line(`${marks[verdict]} ${check.padEnd(14)} ${found}`);
        if (remedy !== undefined) terminal.line(`  ${' '.repeat(14)} → ${remedy}`);
      }
      const failed = findings.filter(({ verdict }) => verdict === 'failed').length;
      if (failed > 0) throw new CliError(`${failed} of ${findings.length} checks failed`);
    }),
  );
  withServeUrl(withUrl(command));
  withExamples(command, [
    ['tidemill doctor', ''],
    ['tidemill doctor --data /var/lib/tidemill --json', ''],
  ]);
}

/** Runs every check; none throws. */
export async function diagnose(options: DoctorOptions, io: Io): Promise<Finding[]> {
  const dataDir = resolve(io.cwd, options.data);
  const client = controlPlane(options, io.env);
  const serve = await modelServer(options, io.env);
  const [server, serving] = await Promise.all([ask(client), ask(serve)]);
  const isAt = (url: string, port: number, { date }: Answer) =>
    date !== undefined && Number(new URL(url).port) === port;
  const findings = {
    machine: [
      checkNode(process.versions.node),
      await checkOnnxRuntime(() => import('onnxruntime-node')),
      await checkDuckDb(() => import('@duckdb/node-api')),
      checkMemory(),
    ],
    start: [
      await checkFolder(dataDir),
      await checkDisk(dataDir),
      await checkPort('port', options.port, '--port', isAt(client.url, options.port, server)),
      await checkPort(
        'serve port',
        options.servePort,
        '--serve-port',
        isAt(serve.url, options.servePort, serving),
      ),
    ],
    servers: [
      describeServer('control plane', client.url, server, 'start it with `tidemill up`'),
      describeServer('model server', serve.url, serving, 'start it with `tidemill up` or `tidemill serve`'),
      checkClock(server.date, Date.now()),
    ],
  };
  return (Object.keys(SUBJECTS) as (keyof typeof SUBJECTS)[]).flatMap((about) =>
    findings[about].map((finding) => ({ about, ...finding })),
  );
}

export function checkNode(version: string): Finding {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isRecent = major > 24 || (major === 24 && minor >= 15);
  return {
    check: 'node',
    verdict: isRecent ? 'ok' : 'failed',
    found: `Node.js ${version} on ${process.platform}-${process.arch}, ${availableParallelism()} cores`,
    ...(!isRecent && { remedy: 'install Node.js 24.15 or newer from https://nodejs.org/' }),
  };
}

export async function checkOnnxRuntime(load: () => Promise<unknown>): Promise<Finding> {
  try {
    await load();
    return { check: 'onnx runtime', verdict: 'ok', found: 'loads' };
  } catch (error) {
    return {
      check: 'onnx runtime',
      verdict: 'failed',
      found: `does not load: ${firstLine(error)}`,
      remedy:
        'its package holds binaries for Linux (glibc) x64 and arm64, macOS arm64 and Windows; there, install again ' +
        'with `npm install --ignore-scripts`, or with ONNXRUNTIME_NODE_INSTALL=skip where nuget.org cannot be reached',
    };
  }
}

export async function checkDuckDb(load: () => Promise<unknown>): Promise<Finding> {
  try {
    await load();
    return { check: 'duckdb', verdict: 'ok', found: 'loads' };
  } catch (error) {
    return {
      check: 'duckdb',
      verdict: 'failed',
      found: `does not load: ${firstLine(error)}`,
      remedy:
        'install again without --omit=optional: the binary is an optional dependency of @duckdb/node-bindings',
    };
  }
}

export async function checkFolder(dataDir: string): Promise<Finding> {
  const parent = nearestExisting(dataDir);
  try {
    await access(parent, constants.W_OK);
    const probe = await mkdtemp(join(parent, '.tidemill-probe-'));
    await writeFile(join(probe, 'file'), 'x', { flush: true });
    await rm(probe, { recursive: true });
    return {
      check: 'data folder',
      verdict: 'ok',
      found: parent === dataDir ? `${dataDir} is writable` : `${dataDir} can be made`,
    };
  } catch (error) {
    return {
      check: 'data folder',
      verdict: 'failed',
      found: `${dataDir} cannot be written: ${firstLine(error)}`,
      remedy: 'name another folder with --data, or make this one yours',
    };
  }
}

async function checkDisk(dataDir: string): Promise<Finding> {
  const { bavail, bsize } = await statfs(nearestExisting(dataDir));
  const free = bavail * bsize;
  const isLow = free < LOW_DISK_BYTES;
  return {
    check: 'disk',
    verdict: isLow ? 'warning' : 'ok',
    found: `${formatBytes(free)} free`,
    ...(isLow && { remedy: 'free some space: writes fail clearly when the disk is full, but they fail' }),
  };
}

function checkMemory(): Finding {
  const free = freemem();
  const isLow = free < 500e6;
  return {
    check: 'memory',
    verdict: isLow ? 'warning' : 'ok',
    found: `${formatBytes(free)} of ${formatBytes(totalmem())} free`,
    ...(isLow && { remedy: 'training reads the whole table into memory: close other programs first' }),
  };
}

export async function checkPort(
  check: string,
  port: number,
  flag: string,
  isOurs: boolean,
): Promise<Finding> {
  const isFree = await new Promise<boolean>((settle) => {
    const probe = createServer();
    probe.once('error', () => settle(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => settle(true)));
  });
  if (isFree) return { check, verdict: 'ok', found: port === 0 ? 'any free one' : `${port} is free` };
  if (isOurs) return { check, verdict: 'ok', found: `${port} is taken, by the running platform` };
  return {
    check,
    verdict: 'failed',
    found: `${port} is taken by another program`,
    remedy: `stop that program, or start with ${flag} 0, which takes a free port`,
  };
}

export function checkClock(serverDate: string | undefined, now: number): Finding {
  if (serverDate === undefined) {
    return {
      check: 'clock',
      verdict: 'ok',
      found: `${new Date(now).toISOString()} (no server to compare with)`,
    };
  }
  // The header has whole seconds.
  const differenceMs = Math.abs(Date.parse(serverDate) - now);
  const isOff = differenceMs > CLOCK_TOLERANCE_MS;
  return {
    check: 'clock',
    verdict: isOff ? 'warning' : 'ok',
    found: isOff
      ? `${Math.round(differenceMs / 1000)} s apart from the server's`
      : "agrees with the server's",
    ...(isOff && { remedy: 'set both clocks by NTP: times of runs and predictions would not fit together' }),
  };
}

interface Answer {
  status?: number;
  detail?: string;
  date?: string;
}

async function ask(client: HttpClient): Promise<Answer> {
  try {
    const { status, body, date } = await client.probe('/ready');
    return { status, detail: textOf(body['message']) ?? textOf(body['status']) ?? '', ...(date && { date }) };
  } catch (error) {
    if (error instanceof CliError) return {};
    throw error;
  }
}

function describeServer(check: string, url: string, { status, detail }: Answer, remedy: string): Finding {
  if (status === undefined) return { check, verdict: 'warning', found: `nothing answers at ${url}`, remedy };
  if (status === 200) return { check, verdict: 'ok', found: `${url} is ready` };
  return {
    check,
    verdict: 'warning',
    found: `${url} answers ${status} to /ready: ${detail}`,
    remedy: 'wait until its models are loaded; `tidemill status` and its log say which one is missing',
  };
}

function nearestExisting(folder: string): string {
  return existsSync(folder) || dirname(folder) === folder ? folder : nearestExisting(dirname(folder));
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
}
