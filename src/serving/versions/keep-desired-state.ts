import type { Logger } from '../../platform/index.ts';
import type { DesiredState } from '../contract.ts';

/** Writes the newest state only, one write at a time; a disk that cannot take it is told, and serving goes on. */
export function createStateKeeper(
  write: (state: DesiredState) => Promise<void>,
  cached: DesiredState | undefined,
  logger: Logger,
) {
  let written = JSON.stringify(cached);
  let next: DesiredState | undefined;
  let running: Promise<void> | undefined;

  async function run(): Promise<void> {
    // A run that ends within its own call would be taken for one that goes on.
    await Promise.resolve();
    while (next !== undefined) {
      const state = next;
      next = undefined;
      const text = JSON.stringify(state);
      if (text === written) continue;
      try {
        await write(state);
        written = text;
      } catch (error) {
        logger.warn(
          { err: error },
          'the desired state could not be kept; a start without the control plane would miss it',
        );
      }
    }
    running = undefined;
  }

  return Object.assign(
    (state: DesiredState): void => {
      next = state;
      running ??= run();
    },
    { done: async (): Promise<void> => running },
  );
}
