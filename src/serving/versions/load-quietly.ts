import { getPriority, setPriority } from 'node:os';

const LOADING_PRIORITY = 10;

/** What sets the scheduling priority of the calling thread; on Linux `setpriority(0)` means the thread alone. */
export interface ThreadPriority {
  get(): number;
  /** Throws when it is not allowed. */
  set(priority: number): void;
}

export const threadPriority: ThreadPriority | undefined =
  process.platform === 'linux'
    ? { get: () => getPriority(0), set: (priority) => setPriority(0, priority) }
    : undefined;

/**
 * Does work of this thread at a low priority, so that a model that is being created takes no time from the thread that
 * answers, where cores are few. Only where the priority can be raised again: predictions are not to be slow for ever.
 */
export async function loadQuietly<T>(
  priority: ThreadPriority | undefined,
  work: () => Promise<T>,
): Promise<T> {
  const before = lowered(priority);
  try {
    return await work();
  } finally {
    if (before !== undefined) priority?.set(before);
  }
}

function lowered(priority: ThreadPriority | undefined): number | undefined {
  if (priority === undefined) return undefined;
  try {
    const before = priority.get();
    if (before >= LOADING_PRIORITY) return undefined;
    // A step down and back tells at the price of one step whether the way back is allowed.
    priority.set(before + 1);
    priority.set(before);
    priority.set(LOADING_PRIORITY);
    return before;
  } catch {
    return undefined;
  }
}
