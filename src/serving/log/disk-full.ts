/** Whether the system said that the disk, or what a user may have of it, is full. */
export function isDiskFull(error: unknown): boolean {
  const { code } = (error ?? {}) as NodeJS.ErrnoException;
  return code === 'ENOSPC' || code === 'EDQUOT';
}

/** For `catch`: takes a full disk for an answer, and throws everything else. */
export function undefinedWhenFull(error: unknown): undefined {
  if (!isDiskFull(error)) throw error;
}
