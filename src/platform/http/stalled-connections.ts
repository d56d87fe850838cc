import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/**
 * Drops connections whose client takes nothing of what is being sent to it for a whole check interval: Node limits
 * only how long a request may take to arrive.
 */
export function dropStalledConnections(server: Server, checkMs: number): void {
  const sent = new Map<Socket, number>();
  let check: NodeJS.Timeout | undefined;

  function look(): void {
    for (const [socket, before] of sent) {
      // What the kernel has taken counts as sent: `bytesWritten` includes what still waits in this process.
      const now = socket.bytesWritten - socket.writableLength;
      if (socket.writableLength > 0 && now === before) socket.destroy();
      else sent.set(socket, now);
    }
  }

  server.on('connection', (socket: Socket) => {
    sent.set(socket, 0);
    socket.on('close', () => sent.delete(socket));
    check ??= setInterval(look, checkMs).unref();
  });
  server.on('close', () => clearInterval(check));
}
