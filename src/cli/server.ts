import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Act } from './command-list.ts';
import { interruption, stoppedOrFailed } from './interruption.ts';
import { parsePort, withExamples } from './options.ts';

interface ServerOptions {
  data: string;
  host: string;
  port: number;
  insecureNoAuth?: boolean;
}

export function configureServer(command: Command, act: Act): void {
  command
    .option('--data <dir>', 'data folder, made when it is not there', '.tidemill')
    .option('--host <host>', 'address to listen on', '127.0.0.1')
    .option('--port <port>', 'port to listen on, 0 takes any free one', parsePort, 7070)
    .option('--insecure-no-auth', 'listen beyond this machine although nobody has to sign in')
    .action(
      act(async (terminal, options: ServerOptions) => {
        const { io } = terminal;
        const signal = interruption(io);
        const { startServer } = await import('../start-server.ts');
        const { readVersion } = await import('./run-cli.ts');
        const dataDir = resolve(io.cwd, options.data);
        const server = await startServer({
          dataDir,
          host: options.host,
          port: options.port,
          allowInsecure: Boolean(options.insecureNoAuth),
          env: io.env,
          version: readVersion(),
        });
        terminal.document({ url: server.url, data_dir: dataDir, pid: process.pid });
        terminal.line(`control plane  ${server.url}  data in ${dataDir}`);
        terminal.line('ready; models are served by `tidemill serve`');
        try {
          await stoppedOrFailed(signal, server.failed);
        } finally {
          await server.stop();
        }
      }),
    );
  withExamples(command, [
    ['tidemill server --data /var/lib/tidemill', ''],
    ['tidemill server --port 0 --json', 'prints the real URL'],
  ]);
}
