import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import type { ArtifactStore } from '../../artifacts/index.ts';
import { ApiError, type Clock, type Database } from '../../platform/index.ts';
import type { SegmentName } from '../../serving/contract.ts';
import { recordSegment } from './commands.ts';
import { createLogStore } from './log-store.ts';

export const INCOMING = 'log/incoming';

/**
 * Takes segments in: their bytes into the artifact store, then their names into the database, and only then they are taken.
 * Their lines are not looked at. They lie in folders, generations, which are removed as a whole.
 */
export function createSegmentIntake(deps: { database: Database; artifacts: ArtifactStore; clock: Clock }) {
  const { database, artifacts, clock } = deps;
  const store = createLogStore(database.reader);
  const arriving = new Map<string, number>();
  let generation = nextGeneration();

  async function takeSegment(
    name: SegmentName,
    body: AsyncIterable<Uint8Array>,
    sha256?: string,
  ): Promise<{ isNew: boolean; sizeBytes: number }> {
    const known = await store.findSegment(name);
    if (known && sha256 !== undefined) {
      checkSame(name, known.sha256, sha256.toLowerCase());
      return { isNew: false, sizeBytes: 0 };
    }
    const into = generation;
    const { kind, replica, incarnation, sequence } = name;
    const artifact = `${INCOMING}/${into}/${kind}-${replica}-${incarnation}-${sequence}-${randomUUID().slice(0, 8)}`;
    arriving.set(into, (arriving.get(into) ?? 0) + 1);
    try {
      const stream = body instanceof Readable ? body : Readable.from(body, { objectMode: false });
      const stored = await artifacts.put(artifact, stream, sha256 === undefined ? {} : { sha256 });
      const taken = await database.execute(recordSegment, {
        ...{ kind, replica, incarnation, sequence },
        ...stored,
        generation: into,
        artifact,
        takenAt: clock.now(),
        receivedMs: Date.now(),
      });
      if (!taken.isNew) checkSame(name, taken.sha256, stored.sha256);
      return { isNew: taken.isNew, sizeBytes: stored.sizeBytes };
    } finally {
      const left = arriving.get(into)! - 1;
      if (left > 0) arriving.set(into, left);
      else arriving.delete(into);
    }
  }

  return {
    takeSegment,
    /** Later segments go into another folder, so that this one can be removed when its segments are filed. */
    turnGeneration(): void {
      generation = nextGeneration();
    },
    /** Whether nothing more can arrive in a folder of this process. */
    isOver: (name: string): boolean => name !== generation && !arriving.has(name),
  };
}

export type SegmentIntake = ReturnType<typeof createSegmentIntake>;

/** Begins with the machine's time, which tells when a folder that no segment names is an orphan. */
const nextGeneration = (): string => `${Date.now()}-${randomUUID().slice(0, 13)}`;

function checkSame({ kind, replica, incarnation, sequence }: SegmentName, known: string, sent: string): void {
  if (known === sent) return;
  throw new ApiError(
    'RESOURCE_CONFLICT',
    `Segment ${kind}/${replica}/${incarnation}/${sequence} was taken before with sha256 ${known}; this one has ${sent}`,
  );
}
