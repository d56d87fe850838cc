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
