import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { Act } from './command-list.ts';
import { DEFAULT_URL } from './http-client.ts';
import { interruption, whenAborted } from './interruption.ts';
import { parsePort, withExamples } from './options.ts';

interface ServeOptions {
  url?: string;
  data: string;
  host: string;
  servePort: number;
  defaultModel?: string;
  insecureNoAuth?: boolean;
}

export function configureServe(command: Command, act: Act): void {
  command
    .option('--url <url>', `the control plane to follow (default: $TIDEMILL_URL, else ${DEFAULT_URL})`)
    .option('--data <dir>', 'data folder; models are cached in its serving/', '.tidemill')
    .option('--host <host>', 'address to listen on', '127.0.0.1')
    .option('--serve-port <port>', 'port to listen on, 0 takes any free one', parsePort, 7071)
    .option('--default-model <name>', 'the model that /predict answers for when there are several')
    .option('--insecure-no-auth', 'listen beyond this machine although nobody has to sign in')
    .action(
      act(async (terminal, options: ServeOptions) => {
        const { io } = terminal;
        const signal = interruption(io);
        const { startModelServerFromOptions } = await import('../start-model-server.ts');
        const { readVersion } = await import('./run-cli.ts');
        const controlPlaneUrl = options.url ?? (io.env['TIDEMILL_URL'] || DEFAULT_URL);
        const server = await startModelServerFromOptions({
          controlPlaneUrl,
          cacheDir: resolve(io.cwd, options.data, 'serving'),
          host: options.host,
          port: options.servePort,
          allowInsecure: Boolean(options.insecureNoAuth),
          env: io.env,
          version: readVersion(),
          ...(options.defaultModel !== undefined && { defaultModel: options.defaultModel }),
        });
        terminal.line(`model server  ${server.url}  follows ${controlPlaneUrl}`);
        const stopped = whenAborted(signal);
        try {
          if ((await Promise.race([server.ready, stopped])) !== 'stopped') {
            terminal.document({ serve_url: server.url, url: controlPlaneUrl, pid: process.pid });
            terminal.line('ready');
            await stopped;
          }
        } finally {
          await server.stop();
        }
      }),
    );
  withExamples(command, [
    ['tidemill serve --url http://tidemill.internal:7070', 'on another machine'],
    ['tidemill serve --serve-port 0 --json', 'prints the real URL'],
  ]);
}
