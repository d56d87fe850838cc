import { ApiError } from '../../platform/index.ts';

/** What is judged: a version before it may serve, or the labels of a rollout. Neither waits for the other. */
export type JudgeLane = 'promotion' | 'labels';

export interface Judging {
  lane: JudgeLane;
  model: string;
  version: number;
  /** Somebody waits for it: it goes before what the platform asks for by itself. */
  isByHand: boolean;
}

/** One that is judged, or waits for its turn. */
export interface JudgingState extends Judging {
  isRunning: boolean;
  /** Since when it is, by `performance.now()`. */
  since: number;
}

interface Ticket extends JudgingState {
  go?: () => void;
}

/** Of each lane: each judgement takes the memory of two models and of DuckDB. */
const WAITING = 16;

/**
 * One judgement of a lane at a time, those that somebody asked for by hand first. A promotion never waits for a look at
 * labels, which may take minutes; a further one than `waiting` is refused, since its client is better off trying again.
 */
export function createJudgeQueue({ waiting = WAITING } = {}) {
  const tickets = new Set<Ticket>();
  const running = new Set<JudgeLane>();
  const queues: Record<JudgeLane, Ticket[]> = { promotion: [], labels: [] };

  function takeTurn(ticket: Ticket, signal: AbortSignal | undefined): Promise<void> {
    const { lane } = ticket;
    if (!running.has(lane)) {
      running.add(lane);
      return Promise.resolve();
    }
    const queue = queues[lane];
    if (queue.length >= waiting) {
      const what = lane === 'promotion' ? 'promotions' : 'looks at labels';
      throw new ApiError(
        'TEMPORARILY_UNAVAILABLE',
        `${queue.length + 1} ${what} are being judged or wait; try again later`,
      );
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        queue.splice(queue.indexOf(ticket), 1);
        reject(signal?.reason as Error);
      };
      ticket.go = () => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      const place = ticket.isByHand ? queue.findIndex((each) => !each.isByHand) : -1;
      queue.splice(place < 0 ? queue.length : place, 0, ticket);
      signal?.addEventListener('abort', leave, { once: true });
    });
  }

  async function judgeInTurn<T>(ticket: Ticket, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    await takeTurn(ticket, signal);
    ticket.isRunning = true;
    ticket.since = performance.now();
    try {
      return await work();
    } finally {
      ticket.isRunning = false;
      const next = queues[ticket.lane].shift();
      if (next) next.go?.();
      else running.delete(ticket.lane);
    }
  }

  return {
    /** Lists what asks from now on until `ask` has ended; `ask` gets what waits for its turn to judge. */
    async enter<T>(
      judging: Judging,
      ask: (inTurn: <U>(work: () => Promise<U>, signal?: AbortSignal) => Promise<U>) => Promise<T>,
    ): Promise<T> {
      const ticket: Ticket = { ...judging, isRunning: false, since: performance.now() };
      tickets.add(ticket);
      try {
        return await ask((work, signal) => judgeInTurn(ticket, work, signal));
      } finally {
        tickets.delete(ticket);
      }
    },

    /** What is judged now, then what waits, in the order in which it came. */
    list: (): JudgingState[] =>
      [...tickets]
        .map(
          ({ lane, model, version, isByHand, isRunning, since }): JudgingState => ({
            lane,
            model,
            version,
            isByHand,
            isRunning,
            since,
          }),
        )
        .sort((a, b) => Number(b.isRunning) - Number(a.isRunning) || a.since - b.since),
  };
}

export type JudgeQueue = ReturnType<typeof createJudgeQueue>;
