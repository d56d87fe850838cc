/** The log's own columns of every view; a model's column of the same name is called `feature_<name>` beside them. */
const LOG_COLUMNS = [
  'prediction_id',
  'timestamp',
  'answered_at',
  'model',
  'version',
  'variant',
  'latency_ms',
  'features',
  'prediction',
  'probabilities',
  'key',
  'label',
  'label_timestamp',
];

/** The views of models are called as these, where no view has that name yet. */
export function nameViews(models: readonly string[]): string[] {
  const taken = new Set(['predictions', 'labels']);
  return models.map((model) => freeName(model, taken, (wanted) => `${wanted}_model`));
}

/** What the columns of a model are called in its view. */
export function nameFeatures(columns: readonly string[]): string[] {
  const taken = new Set(LOG_COLUMNS);
  return columns.map((column) => freeName(column, taken, (wanted) => `feature_${wanted}`));
}

/** SQL does not tell upper from lower case in names, and takes no empty one. */
function freeName(wanted: string, taken: Set<string>, other: (wanted: string) => string): string {
  let name = wanted === '' ? other('') : wanted;
  while (taken.has(name.toLowerCase())) name = other(name);
  taken.add(name.toLowerCase());
  return name;
}
