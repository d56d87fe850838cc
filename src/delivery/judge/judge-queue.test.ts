import { expect, it } from 'vitest';
import { createJudgeQueue, type Judging } from './judge-queue.ts';

const promotion = (version: number, isByHand = false): Judging => ({
  lane: 'promotion',
  model: 'm',
  version,
  isByHand,
});

/** Enters works that end when they are told to, and tells in which order they began. */
function createWorks(queue = createJudgeQueue()) {
  const begun: string[] = [];
  return {
    queue,
    begun,
    enter: (judging: Judging, signal?: AbortSignal) => {
      const work = Promise.withResolvers<void>();
      const hasBegun = Promise.withResolvers<void>();
      const ended = queue.enter(judging, (inTurn) =>
        inTurn(async () => {
          begun.push(`${judging.lane} ${judging.version}`);
          hasBegun.resolve();
          await work.promise;
        }, signal),
      );
      ended.catch(() => {});
      return { end: work.resolve, ended, hasBegun: hasBegun.promise };
    },
  };
}

it('judges a promotion while the labels of a rollout are looked at', async () => {
  const { enter, begun } = createWorks();
  const look = enter({ lane: 'labels', model: 'm', version: 1, isByHand: false });
  await look.hasBegun;
  const asked = enter(promotion(2, true));
  await asked.hasBegun;
  expect(begun).toEqual(['labels 1', 'promotion 2']);
  asked.end();
  look.end();
  await Promise.all([asked.ended, look.ended]);
});

it('lets those go first that somebody asked for, in the order in which they came', async () => {
  const { enter, begun, queue } = createWorks();
  const all = [enter(promotion(1))];
  await all[0]?.hasBegun;
  all.push(enter(promotion(2)), enter(promotion(3, true)), enter(promotion(4)), enter(promotion(5, true)));
  expect(queue.list().map(({ version, isRunning }) => [version, isRunning])).toEqual([
    [1, true],
    [2, false],
    [3, false],
    [4, false],
    [5, false],
  ]);
  for (const each of all) each.end();
  await Promise.all(all.map(({ ended }) => ended));
  expect(begun.map((each) => Number(each.split(' ')[1]))).toEqual([1, 3, 5, 2, 4]);
  expect(queue.list()).toEqual([]);
});

it('refuses what finds too many waiting, and lets go of what waits no longer', async () => {
  const { enter, queue } = createWorks(createJudgeQueue({ waiting: 1 }));
  const first = enter(promotion(1));
  await first.hasBegun;
  const leaving = new AbortController();
  const second = enter(promotion(2), leaving.signal);
  await expect(enter(promotion(3)).ended).rejects.toThrow('2 promotions are being judged or wait');
  leaving.abort(new Error('gone'));
  await expect(second.ended).rejects.toThrow('gone');
  expect(queue.list().map(({ version }) => version)).toEqual([1]);
  const fourth = enter(promotion(4));
  first.end();
  await fourth.hasBegun;
  fourth.end();
  await fourth.ended;
});

it('goes on after a work that failed', async () => {
  const queue = createJudgeQueue();
  const failing = queue.enter(promotion(1), (inTurn) => inTurn(() => Promise.reject(new Error('no'))));
  await expect(failing).rejects.toThrow('no');
  expect(await queue.enter(promotion(2), (inTurn) => inTurn(async () => 'yes'))).toBe('yes');
});
