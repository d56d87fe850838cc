import { type Command, command } from '../../platform/index.ts';
import { createLogGarbage } from './store/log-garbage.ts';
import { createLogStore, type LogChange, type TakenSegment } from './store/log-store.ts';

export { logMigrations } from './migrations.ts';

export const recordSegment = command('log.recordSegment', (tx, segment: TakenSegment) =>
  createLogStore(tx).takeSegment(segment),
);

export const planLogOutputs = command('log.planOutputs', (tx, input: { folder: string; nowMs: number }) =>
  createLogGarbage(tx).planOutputs(input.folder, input.nowMs),
);

export const changeLog = command('log.change', (tx, change: LogChange) => createLogStore(tx).change(change));

export const forgetLogGarbage = command('log.forgetGarbage', (tx, artifacts: string[]) =>
  createLogGarbage(tx).forget(artifacts),
);

export const giveUpOutputs = command('log.giveUpOutputs', (tx, input: { announcedBeforeMs: number }) =>
  createLogGarbage(tx).giveUp(input.announcedBeforeMs),
);

export const retireGeneration = command(
  'log.retireGeneration',
  (tx, input: { generation: string; folder: string; nowMs: number }) =>
    createLogGarbage(tx).retireGeneration(input.generation, input.folder, input.nowMs),
);

export const dropSegmentNames = command('log.dropSegmentNames', (tx, input: { beforeMs: number }) =>
  createLogGarbage(tx).dropSegmentNames(input.beforeMs),
);

export const logCommands: Command<any, any>[] = [
  recordSegment,
  planLogOutputs,
  changeLog,
  giveUpOutputs,
  forgetLogGarbage,
  retireGeneration,
  dropSegmentNames,
];
