import type { Server } from 'node:http';
import type { Socket } from 'node:net';

export interface Connections {
  /** Closes those that wait for a request, also for their first one, which Node counts as active. */
  closeIdle: () => void;
}

/**
 * Drops connections whose client takes nothing of what is being sent to it for a whole check interval: Node limits
 * only how long a request may take to arrive.
 */
export function watchConnections(server: Server, checkMs: number): Connections {
  const seen = new Map<Socket, { queued: number; written: number }>();
  let check: NodeJS.Timeout | undefined;

  function look(): void {
    for (const [socket, before] of seen) {
      const queued = queuedBytes(socket);
      const written = socket.bytesWritten;
      if (queued > 0 && queued === before.queued && written === before.written) socket.destroy();
      else seen.set(socket, { queued, written });
    }
  }

  server.on('connection', (socket: Socket) => {
    seen.set(socket, { queued: 0, written: 0 });
    socket.on('close', () => seen.delete(socket));
    check ??= setInterval(look, checkMs).unref();
  });
  server.on('close', () => clearInterval(check));

  return {
    closeIdle() {
      server.closeIdleConnections();
      for (const socket of seen.keys()) if (socket.bytesRead === 0) socket.destroy();
    },
  };
}

/** What the kernel has not taken yet; only the handle knows how much of one large write is done. */
function queuedBytes(socket: Socket): number {
  return (socket as unknown as { _handle?: { writeQueueSize?: number } })._handle?.writeQueueSize ?? 0;
}
