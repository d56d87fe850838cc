import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Act } from './command-list.ts';
import { interruption, stoppedOrFailed } from './interruption.ts';
import { parsePort, withExamples } from './options.ts';

interface UpOptions {
  data: string;
  host: string;
  port: number;
  servePort: number;
  insecureNoAuth?: boolean;
}

export function configureUp(command: Command, act: Act): void {
  command
    .option('--data <dir>', 'data folder, made when it is not there', '.tidemill')
    .option('--host <host>', 'address to listen on', '127.0.0.1')
    .option('--port <port>', "the control plane's port, 0 takes any free one", parsePort, 7070)
    .option('--serve-port <port>', "the model server's port, 0 takes any free one", parsePort, 7071)
    .option('--insecure-no-auth', 'listen beyond this machine although nobody has to sign in')
    .action(
      act(async (terminal, options: UpOptions) => {
        const { io } = terminal;
        const signal = interruption(io);
        const { startPlatform } = await import('../main.ts');
        const { readVersion } = await import('./run-cli.ts');
        const dataDir = resolve(io.cwd, options.data);
        const startedAt = performance.now();
        const platform = await startPlatform({
          dataDir,
          host: options.host,
          port: options.port,
          // --port 0 asks for a platform beside another one, and then 7071 is that one's.
          servePort: options.servePort === 7071 && options.port === 0 ? 0 : options.servePort,
          allowInsecure: Boolean(options.insecureNoAuth),
          // A person at a terminal wants no line for each request or model.
          env: { TIDEMILL_LOG_LEVEL: 'warn', ...io.env },
          version: readVersion(),
          say: (message) => terminal.warn(message),
        });
        const stopped = stoppedOrFailed(signal, platform.failed);
        try {
          terminal.line(`control plane  ${platform.url}  API at /docs`);
          terminal.line(`model server   ${platform.serveUrl}  API at /docs`);
          terminal.line(`data           ${dataDir}`);
          if ((await Promise.race([platform.ready, stopped])) !== 'stopped') {
            terminal.document({
              url: platform.url,
              serve_url: platform.serveUrl,
              data_dir: dataDir,
              pid: process.pid,
              serve_pid: platform.modelServerPid(),
            });
            const ms = Math.round(performance.now() - startedAt);
            terminal.line(`${terminal.colors.green('ready')} after ${ms} ms; stop with ^C`);
            await stopped;
            terminal.note('stopping');
          }
        } finally {
          await platform.stop();
        }
      }),
    );
  withExamples(command, [
    ['tidemill up', 'http://127.0.0.1:7070, data in ./.tidemill'],
    ['tidemill up --data /var/lib/tidemill --port 8080 --serve-port 8081', ''],
    ['tidemill up --port 0 --json', 'free ports; one JSON line with the URLs when ready'],
  ]);
}
