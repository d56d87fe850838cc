import { expect, it } from 'vitest';
import { stoppedOrFailed } from './interruption.ts';

const never = new Promise<Error>(() => {});

it('waits for the signal', async () => {
  const controller = new AbortController();
  const waiting = stoppedOrFailed(controller.signal, never);
  controller.abort();
  await expect(waiting).resolves.toBe('stopped');
});

it('ends with the error of a server that failed', async () => {
  const failed = Promise.resolve(new Error('the writer thread died'));
  await expect(stoppedOrFailed(new AbortController().signal, failed)).rejects.toThrow(
    'the writer thread died',
  );
});
