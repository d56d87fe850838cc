/** Ends this process at once, and with it what it has started: a process may lead a group of its own. */
export function endGroup(): void {
  if (process.platform !== 'win32') {
    try {
      process.kill(-process.pid, 'SIGKILL');
    } catch {
      // It leads no group.
    }
  }
  process.kill(process.pid, 'SIGKILL');
}
