/** One float32 input; a Loop whose trip count is the largest number of the input, answered as it is counted. */
export const loopOverInputModel = (): Uint8Array => decoded(LOOP_OVER_INPUT);

/** As above, but the Loop goes round 1e15 times for every input: a run never ends. */
export const endlessLoopModel = (): Uint8Array => decoded(ENDLESS_LOOP);

const decoded = (base64: string): Uint8Array => new Uint8Array(Buffer.from(base64, 'base64'));

// The graph builder writes no graphs within graphs, hence bytes.
const LOOP_OVER_INPUT =
  'CAg6kgIKIwoBeBICbXgiCVJlZHVjZU1heCoPCghrZWVwZGltcxgAoAECChsKAm14EgR0cmlwIgRDYXN0KgkKAnRvGAegAQIKmgEK' +
  'BHRyaXAKAXQKAXgSAXkiBExvb3AqggEKBGJvZHkydwoRCgFjEgJjMiIISWRlbnRpdHkKEQoBdgoDb25lEgJ2MiIDQWRkEgFiKg0Q' +
  'ASIEAACAP0IDb25lWgsKAWkSBgoECAcSAFoLCgFjEgYKBAgJEgBaCQoBdhIECgIIAWIMCgJjMhIGCgQICRIAYgoKAnYyEgQKAggB' +
  'oAEFEgFnKggQCSoBAUIBdFoRCgF4EgwKCggBEgYKAAoCCAFiEQoBeRIMCgoIARIGCgAKAggBQgQKABAR';
const ENDLESS_LOOP =
  'CAg65AEKmgEKBHRyaXAKAXQKAXgSAXkiBExvb3AqggEKBGJvZHkydwoRCgFjEgJjMiIISWRlbnRpdHkKEQoBdgoDb25lEgJ2MiID' +
  'QWRkEgFiKg0QASIEAACAP0IDb25lWgsKAWkSBgoECAcSAFoLCgFjEgYKBAgJEgBaCQoBdhIECgIIAWIMCgJjMhIGCgQICRIAYgoK' +
  'AnYyEgQKAggBoAEFEgFnKggQCSoBAUIBdCoSEAc6CICAmqbqr+MBQgR0cmlwWhEKAXgSDAoKCAESBgoACgIIAWIRCgF5EgwKCggB' +
  'EgYKAAoCCAFCBAoAEBE=';
