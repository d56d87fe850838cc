import type { Command } from '../platform/index.ts';
import { claimRuns, finishRun, freeAllRuns, parkRun, releaseRuns, renewRuns } from './holder-commands.ts';
import { dropLease, takeLease } from './lease-commands.ts';
import { cancelRun, decideStep, pruneRuns, retryRun, startRun } from './operator-commands.ts';
import { awaitStep, beginStep, endSleep, endStep, giveUpStep, noteRun } from './step-commands.ts';

export { jobMigrations } from './migrations.ts';

export const jobCommands: readonly Command<any, any>[] = [
  startRun,
  cancelRun,
  decideStep,
  retryRun,
  pruneRuns,
  claimRuns,
  freeAllRuns,
  renewRuns,
  parkRun,
  releaseRuns,
  finishRun,
  beginStep,
  endStep,
  giveUpStep,
  awaitStep,
  endSleep,
  noteRun,
  takeLease,
  dropLease,
];
