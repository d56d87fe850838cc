import { describe, expect, it } from 'vitest';
import { silentLogger } from '../../../tests/support/index.ts';
import type { DesiredState } from '../contract.ts';
import { type Contact, followDesiredState } from './follow-desired-state.ts';

const state = (revision: string): DesiredState => ({ revision, models: [], not_servable: [] });

/** Follows a script of answers; what comes after the last one stops it. */
async function follow(script: (() => DesiredState | undefined)[], revision?: string) {
  const stop = new AbortController();
  const asked: (string | undefined)[] = [];
  const told: string[] = [];
  const slept: number[] = [];
  const contacts: Contact[] = [];
  await followDesiredState({
    resolve: async (known) => {
      asked.push(known);
      const answer = script.shift();
      if (answer !== undefined) return answer();
      stop.abort();
      throw new Error('over');
    },
    onState: ({ revision: seen }) => told.push(seen),
    revision,
    signal: stop.signal,
    logger: silentLogger,
    onContact: (contact) => contacts.push(contact),
    random: () => 1,
    sleep: (ms) => {
      slept.push(ms);
      return Promise.resolve();
    },
    now: () => 0,
  });
  return { asked, told, slept, contacts };
}

const fail = () => {
  throw new Error('away');
};

describe('following the desired state', () => {
  it('tells once that the control plane is away, and once that it is back', async () => {
    const { contacts } = await follow([fail, fail, () => state('1'), () => undefined, fail]);
    expect(contacts).toEqual([
      { isThere: false, reason: 'away' },
      { isThere: true },
      { isThere: false, reason: 'away' },
    ]);
  });

  it('tells every new revision once, and asks for what comes after it', async () => {
    const { asked, told } = await follow([
      () => state('1'),
      () => state('2'),
      () => undefined,
      () => state('2'),
    ]);
    expect(told).toEqual(['1', '2']);
    expect(asked.slice(0, 4)).toEqual([undefined, '1', '2', '2']);
  });

  it('starts from the revision that the cache knows', async () => {
    const { asked, told } = await follow([() => state('5'), () => state('6')], '5');
    expect(asked.slice(0, 2)).toEqual(['5', '5']);
    expect(told).toEqual(['6']);
  });

  it('waits longer after each failure, up to a limit, and starts over once there is an answer', async () => {
    const { slept, told } = await follow([...Array(8).fill(fail), () => state('1'), fail]);
    expect(slept).toEqual([250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000, 250]);
    expect(told).toEqual(['1']);
  });

  it('does not spin when the control plane does not wait', async () => {
    const { slept } = await follow([() => state('1'), () => undefined, () => undefined]);
    expect(slept).toEqual([1000, 1000]);
  });

  it('ends when it is stopped while it sleeps', async () => {
    const stop = new AbortController();
    const following = followDesiredState({
      resolve: () => Promise.reject(new Error('away')),
      onState: () => {},
      signal: stop.signal,
      logger: silentLogger,
    });
    await new Promise((resolve) => setImmediate(resolve));
    stop.abort();
    await expect(following).resolves.toBeUndefined();
  });
});
