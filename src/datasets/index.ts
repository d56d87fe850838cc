export type { ColumnStatistics, TableStatistics } from './describe-table.ts';
export {
  type IngestedTable,
  type IngestProgress,
  type IngestRequest,
  ingestFile,
} from './ingest/ingest-file.ts';
export type { SourceFormat } from './ingest/source-table.ts';
export type {
  ClassValue,
  ColumnRole,
  DatasetColumn,
  DatasetColumnType,
  FeatureColumn,
  SplitSpec,
  Table,
  TableColumn,
  TrainingPlan,
  TrainingTask,
} from './table.ts';
