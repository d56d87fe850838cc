import type { AddressInfo } from 'node:net';
import { stateOf } from './app-state.ts';
import type { App } from './app-type.ts';
import { findPortHolder } from './port-holder.ts';
import { isLoopback } from './request-origin.ts';

/** The start is refused for a reason that the user can change; its message is for her, without a stack. */
export class ListenError extends Error {
  override name = 'ListenError';
}

export interface ListenOptions {
  host: string;
  /** 0 takes any free port. */
  port: number;
  /** Listen beyond loopback although nobody has to sign in. */
  allowInsecure?: boolean;
  /** The flag that sets the port, as the message about a port in use names it; default `--port`. */
  portFlag?: string;
}

/**
 * Starts listening and gives the real URL.
 *
 * @throws ListenError when the port is taken (with the remedy), or the host is beyond loopback without `allowInsecure`.
 */
export async function listen(
  app: App,
  options: ListenOptions,
): Promise<{ url: string; host: string; port: number }> {
  const { host, port } = options;
  const state = stateOf(app);
  if (!isLoopback(host)) {
    if (!options.allowInsecure) {
      throw new ListenError(
        `Not listening on ${host}: nobody has to sign in, so everyone who reaches that address could read and change ` +
          'everything. Listen on 127.0.0.1, or, where the network keeps others out, say so by --insecure-no-auth ' +
          'or TIDEMILL_INSECURE_NO_AUTH=1',
      );
    }
    state.logger.warn(
      { host },
      'listening beyond this machine without sign-in, as told by --insecure-no-auth',
    );
  }
  state.hosts.listensOn(host);
  try {
    await app.listen({ host, port });
  } catch (error) {
    throw explained(error as NodeJS.ErrnoException, options);
  }
  const address = app.server.address() as AddressInfo;
  return { url: `http://${urlHost(host)}:${address.port}`, host, port: address.port };
}

function urlHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1';
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host;
}

function explained(error: NodeJS.ErrnoException, { host, port, portFlag = '--port' }: ListenOptions): Error {
  const options = { cause: error };
  if (error.code === 'EADDRINUSE') {
    const holder = findPortHolder(port);
    const who = holder
      ? `process ${holder.pid} (${holder.command})`
      : 'another program, perhaps another tidemill';
    return new ListenError(
      `Port ${port} on ${host} is in use by ${who}. Stop it, or take another port with ${portFlag}; ` +
        `${portFlag} 0 takes any free one`,
      options,
    );
  }
  if (error.code === 'EACCES') {
    return new ListenError(
      `Not allowed to listen on port ${port}; take one above 1023 with ${portFlag}`,
      options,
    );
  }
  if (error.code === 'EADDRNOTAVAIL' || error.code === 'ENOTFOUND' || error.code === 'EAI_AGAIN') {
    return new ListenError(`${host} is not an address of this machine; see --host`, options);
  }
  return error;
}
