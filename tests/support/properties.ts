import fc from 'fast-check';

const SEED = 20_010_401;

// The same cases each time, so that a change that fails is the one that broke it; PROPERTY_SEED draws others.
fc.configureGlobal({ seed: Number(process.env['PROPERTY_SEED'] ?? SEED) });

export { fc };
