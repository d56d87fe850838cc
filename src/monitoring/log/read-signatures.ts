import { buffer } from 'node:stream/consumers';
import type { Signature } from '../../models/index.ts';
import { createKeyedQueue, type Database } from '../../platform/index.ts';
import { createChampionStore, createModelVersionStore, type ModelFiles } from '../../registry/index.ts';

/** Signatures that are kept in memory. */
const MOST_KEPT = 200;

/** What a model takes and answers: of the version that is asked for, else of its champion, else of its newest one. */
export type ReadSignature = (model: string, version?: string) => Promise<Signature | undefined>;

/** Reads signatures out of the model files; a file is read once. */
export function createSignatureReader(deps: { database: Database; files: ModelFiles }): ReadSignature {
  const champions = createChampionStore(deps.database.reader);
  const versions = createModelVersionStore(deps.database.reader);
  const known = new Map<string, Signature | undefined>();
  const oneByOne = createKeyedQueue();

  async function findVersion(model: string, wanted: string | undefined) {
    if (wanted !== undefined) {
      return /^[1-9]\d{0,8}$/.test(wanted) ? versions.find(model, Number(wanted)) : undefined;
    }
    const champion = await champions.find(model);
    if (champion) return versions.find(model, champion.version);
    return (await versions.list(model))
      .filter(({ servable }) => servable)
      .sort((a, b) => b.version - a.version)[0];
  }

  return async function readSignatureOf(model, wanted) {
    const version = await findVersion(model, wanted);
    if (!version?.servable || version.sha256 === undefined) return undefined;
    const { sha256 } = version;
    return oneByOne(sha256, async () => {
      if (known.has(sha256)) return known.get(sha256);
      const { stream } = await deps.files.openModel(version);
      const { readSignature } = await import('../../models/index.ts');
      const signature = readSignature(await buffer(stream));
      if (known.size >= MOST_KEPT) known.delete(known.keys().next().value!);
      known.set(sha256, signature);
      return signature;
    });
  };
}
