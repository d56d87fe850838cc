export type { ArtifactEntry, ArtifactInfo, ArtifactStore } from './artifact-store.ts';
export { createLocalArtifactStore } from './local-artifact-store.ts';
