import type { Command } from '../platform/index.ts';
import {
  claimRuns,
  finishRun,
  freeAllRuns,
  parkRun,
  releaseRuns,
  renewRuns,
} from './store/holder-commands.ts';
import { dropLease, takeLease } from './store/lease-commands.ts';
import { cancelRun, decideStep, pruneRuns, retryRun, startRun } from './store/operator-commands.ts';
import { awaitStep, beginStep, endSleep, endStep, giveUpStep, noteRun } from './store/step-commands.ts';

export { jobMigrations } from './store/migrations.ts';

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
