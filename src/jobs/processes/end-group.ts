/** Ends this process at once, and with it what it has started: a step process leads a group of its own. */
export function endGroup(): void {
  if (process.platform !== 'win32') {
    try {
      process.kill(-process.pid, 'SIGKILL');
    } catch {
      // It leads no group: it was not started by a platform.
    }
  }
  process.kill(process.pid, 'SIGKILL');
}
