/** The part of `process` that this uses. */
export interface ParentMessages {
  connected?: boolean;
  send?(message: unknown, onSent: (error: Error | null) => void): unknown;
}

/**
 * Sends a message to the parent and resolves when it has gone, or cannot go any more: a parent that has just died hears nothing,
 * and its end is heard by itself; without a callback Node would make it an error of the process.
 */
export function sendToParent(message: unknown, channel: ParentMessages = process): Promise<void> {
  return new Promise((resolve) => {
    if (channel.connected && channel.send) channel.send(message, () => resolve());
    else resolve();
  });
}
