import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import type { ArtifactStore } from '../../../artifacts/index.ts';
import { ApiError, type Clock, type Database } from '../../../platform/index.ts';
import type { SegmentName } from '../../../serving/contract.ts';
import { recordSegment } from '../commands.ts';
import { createLogStore } from '../store/log-store.ts';

export const INCOMING = 'log/incoming';
/** So long segments go into one folder, and so long each may take. */
const OPEN_MS = 600_000;
const ARRIVAL_LIMIT_MS = 600_000;
/** Nothing is recorded any more in a folder of this age; other servers hold one of an hour to be over. */
const RECORD_LIMIT_MS = 2_400_000;

/**
 * Takes segments in: their bytes into the artifact store, then their names into the database, and only then they are taken.
 * Their lines are not looked at. They lie in folders, generations, which are removed as a whole.
 */
export function createSegmentIntake(deps: { database: Database; artifacts: ArtifactStore; clock: Clock }) {
  const { database, artifacts, clock } = deps;
  const store = createLogStore(database.reader);
  const arriving = new Map<string, number>();
  let generation = nextGeneration();
  const ours = new Set([generation]);

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
    if (Date.now() - madeAt(generation) > OPEN_MS) turnGeneration();
    const into = generation;
    const { kind, replica, incarnation, sequence } = name;
    const artifact = `${INCOMING}/${into}/${kind}-${replica}-${incarnation}-${sequence}-${randomUUID().slice(0, 8)}`;
    arriving.set(into, (arriving.get(into) ?? 0) + 1);
    try {
      const stream = body instanceof Readable ? body : Readable.from(body, { objectMode: false });
      const tooSlow = setTimeout(
        () =>
          stream.destroy(
            new ApiError('BAD_REQUEST', `The segment took longer than ${ARRIVAL_LIMIT_MS / 60_000} minutes`),
          ),
        ARRIVAL_LIMIT_MS,
      );
      const stored = await artifacts
        .put(artifact, stream, sha256 === undefined ? {} : { sha256 })
        .finally(() => clearTimeout(tooSlow));
      if (Date.now() - madeAt(into) > RECORD_LIMIT_MS) {
        throw new ApiError(
          'TEMPORARILY_UNAVAILABLE',
          `Storing ${artifact} took so long that it may be removed; send it again`,
        );
      }
      const taken = await database.execute(recordSegment, {
        kind,
        replica,
        incarnation,
        sequence,
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

  /** Later segments go into another folder, so that this one can be removed when its segments are filed. */
  function turnGeneration(): void {
    generation = nextGeneration();
    ours.add(generation);
  }

  const isOpen = (name: string): boolean => name === generation || arriving.has(name);

  return {
    takeSegment,
    turnGeneration,
    /** Whether a folder is this process's own and nothing more can arrive in it; of others it cannot be known. */
    isOver: (name: string): boolean => ours.has(name) && !isOpen(name),
    isOpen,
    forgetGeneration: (name: string): void => void ours.delete(name),
  };
}

/** The machine's time at which a folder of segments was begun. */
export const madeAt = (generation: string): number => Number(generation.split('-', 1)[0]);

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
