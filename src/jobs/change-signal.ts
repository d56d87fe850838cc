/** Wakes those who wait for a change of any run, within this process. */
export interface ChangeSignal {
  notify(): void;
  /** Settles at the next `notify`, after `timeoutMs`, or when `signal` is aborted. */
  wait(timeoutMs: number, signal?: AbortSignal): Promise<void>;
}

export function createChangeSignal(): ChangeSignal {
  const waiting = new Set<() => void>();
  return {
    notify() {
      for (const wake of waiting) wake();
    },
    wait(timeoutMs, signal) {
      if (signal?.aborted) return Promise.resolve();
      return new Promise((resolve) => {
        const wake = () => {
          waiting.delete(wake);
          clearTimeout(timer);
          signal?.removeEventListener('abort', wake);
          resolve();
        };
        const timer = setTimeout(wake, timeoutMs);
        signal?.addEventListener('abort', wake);
        waiting.add(wake);
      });
    },
  };
}
