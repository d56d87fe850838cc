export { createVersionAdder, type DatasetDeps, datasetKey } from './add-versions.ts';
export { addDatasetVersion } from './commands.ts';
export { type DatasetRouteOptions, datasetRoutes } from './dataset-routes.ts';
export { createDatasetStore } from './dataset-store.ts';
export type { Dataset, DatasetSource, DatasetVersion } from './dataset-tables.ts';
export type { ColumnStatistics, TableStatistics } from './describe-table.ts';
export { type DuckdbSession, parquetRelation, resolvePath, withDuckdb } from './duckdb/duckdb-session.ts';
export { rawItems } from './duckdb/duckdb-vectors.ts';
export { createChunkFreer } from './duckdb/free-chunks.ts';
export { quoteIdentifier, quoteText, quoteTextList } from './duckdb/quote-sql.ts';
export {
  type IngestedTable,
  type IngestProgress,
  type IngestRequest,
  ingestFile,
  tellFormat,
} from './ingest/ingest-file.ts';
export type { SourceFormat } from './ingest/source-table.ts';
export type {
  ClassValue,
  ColumnRole,
  DatasetColumn,
  DatasetColumnType,
  DerivedColumns,
  FeatureColumn,
  RawColumn,
  SplitSpec,
  Table,
  TableColumn,
  TrainingPlan,
  TrainingTask,
} from './table.ts';
export {
  type ComposedTable,
  type ComposeRequest,
  type ComposeSource,
  composeTable,
} from './training-data/compose-table.ts';
export {
  ENTITY_COLUMN,
  type ExportHeldOutRequest,
  exportHeldOut,
  TIME_COLUMN,
} from './training-data/export-held-out.ts';
export { type ExportLabelledRequest, exportLabelled } from './training-data/export-labelled.ts';
export { COPY_OF_NUMBERS } from './training-data/find-leakage.ts';
export { type LoadedTable, type LoadRequest, loadTable } from './training-data/load-table.ts';
export { type PlanRequest, planTraining } from './training-data/plan-training.ts';
export { type ReadRowsOptions, type RowValue, readHeldOut, readRows } from './training-data/read-rows.ts';
export { planTarget } from './training-data/read-target.ts';
export { type TrainingData, withTrainingData } from './training-data/training-data.ts';
export { unknownColumn } from './unknown-column.ts';
