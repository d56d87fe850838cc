import { ApiError, type Tx } from '../platform/index.ts';
import { createChampionStore, type MoveCause } from './champion-store.ts';
import { createModelVersionStore } from './model-version-store.ts';
import { createRegisteredModelStore } from './registered-model-store.ts';
import { CHAMPION_ALIAS } from './tables.ts';

/** What served when a decision was made; the move is refused when something else serves by then. */
export interface ExpectedChampion {
  version: number | undefined;
  /** Revision of the model's last move. */
  revision: number | undefined;
}

export interface Moved {
  from: number | undefined;
  to: number | undefined;
  /** The entry of the audit that tells of it; undefined when nothing changed. */
  auditSequence: number | undefined;
}

/**
 * Lets a version serve, if what serves is still what the decision was made against: by the alias, or by the stage
 * where stages govern the model. For commands, in their transaction.
 *
 * @throws ApiError RESOURCE_CONFLICT when something else serves by now.
 */
export async function putChampion(
  tx: Tx,
  input: { name: string; version: number; expected: ExpectedChampion; cause: MoveCause },
): Promise<Moved> {
  const { name, version, expected, cause } = input;
  const champions = createChampionStore(tx);
  return champions.recordChange(name, cause, async () => {
    await expectChampion(tx, name, expected, `version ${version} was being judged`);
    await letServe(tx, name, version, cause.at);
  });
}

/**
 * Goes back to what served before the current champion was put there. Repeated, it walks further back. For commands,
 * in their transaction.
 *
 * @throws ApiError RESOURCE_CONFLICT when there is nothing to go back to, or `expectedVersion` does not serve.
 */
export async function putPredecessorBack(
  tx: Tx,
  { name, expectedVersion, cause }: { name: string; expectedVersion?: number | undefined; cause: MoveCause },
): Promise<Moved> {
  const champions = createChampionStore(tx);
  await createRegisteredModelStore(tx).lock(name);
  const current = (await champions.find(name))?.version;
  if (expectedVersion !== undefined && current !== expectedVersion) {
    throw new ApiError(
      'RESOURCE_CONFLICT',
      `Not rolled back: ${shown(expectedVersion)} of '${name}' does not serve any more, ${shown(current)} does`,
    );
  }
  const target = await champions.findRollbackTarget(name, current);
  if (!target) {
    throw new ApiError(
      'RESOURCE_CONFLICT',
      `Nothing to roll back to: ${current === undefined ? 'no version' : shown(current)} of '${name}' has ${current === undefined ? 'served, or none of those that did' : 'no predecessor that'} still exists and can be served. To put another version there: tidemill promote ${name}/VERSION`,
    );
  }
  const { version } = target.version;
  return champions.recordChange(name, cause, () => letServe(tx, name, version, cause.at), target.below);
}

/**
 * Holds the model and checks that what a decision was made against serves still.
 *
 * @throws ApiError RESOURCE_CONFLICT, saying what serves now and by whom; `during` completes "changed while …".
 */
export async function expectChampion(
  tx: Tx,
  name: string,
  expected: ExpectedChampion,
  during: string,
): Promise<void> {
  const champions = createChampionStore(tx);
  const current = await champions.find(name);
  const last = await champions.lastMove(name);
  if (current?.version === expected.version && last?.revision === expected.revision) return;
  throw new ApiError(
    'RESOURCE_CONFLICT',
    `What serves of '${name}' changed while ${during}: it was ${shown(expected.version)}, now it is ${shown(current?.version)}${last ? ` (${last.action} by ${last.actor})` : ''}. Look at it, then promote again`,
  );
}

const shown = (version: number | undefined) => (version === undefined ? 'none' : `version ${version}`);

async function letServe(tx: Tx, name: string, version: number, now: number): Promise<void> {
  const versions = createModelVersionStore(tx);
  await versions.get(name, version);
  const current = await createChampionStore(tx).find(name);
  if (current?.by !== 'stage') {
    await createRegisteredModelStore(tx).setAlias(name, CHAMPION_ALIAS, version);
    return;
  }
  await versions.setStage(name, version, 'Production', now);
  await versions.archiveOthers(name, version, 'Production', now);
}
