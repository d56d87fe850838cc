/** A task of the step processes, by its name: what goes in and what comes out, both plain JSON. */
export interface StepTask {
  name: string;
  input: unknown;
}

export interface TaskOptions {
  signal?: AbortSignal | undefined;
  onLog?: (line: string) => void;
  onProgress?: (done: number, note?: string) => void;
  timeoutMs?: number;
}

/** Runs tasks in warm child processes, so that neither memory nor a crash of theirs is the server's. */
export interface StepRunner {
  run<T>(task: StepTask, options: TaskOptions): Promise<T>;
}
