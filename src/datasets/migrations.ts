import { type Migration, sortedText } from '../platform/index.ts';

export const datasetMigrations: Migration[] = [
  {
    id: '0020-datasets-versions',
    async up(tx, dialect) {
      const text = sortedText(dialect) as never;
      await tx.schema
        .createTable('datasets')
        .addColumn('name', text, (column) => column.primaryKey())
        .addColumn('last_version', 'integer', (column) => column.notNull())
        .addColumn('created_at', 'bigint', (column) => column.notNull())
        .addColumn('updated_at', 'bigint', (column) => column.notNull())
        .execute();
      await tx.schema
        .createTable('dataset_versions')
        .addColumn('name', text, (column) => column.notNull())
        .addColumn('version', 'integer', (column) => column.notNull())
        .addColumn('digest', 'text', (column) => column.notNull())
        .addColumn('row_count', 'bigint', (column) => column.notNull())
        .addColumn('size_bytes', 'bigint', (column) => column.notNull())
        .addColumn('schema', 'text', (column) => column.notNull())
        .addColumn('statistics', 'text', (column) => column.notNull())
        .addColumn('source', 'text', (column) => column.notNull())
        .addColumn('notes', 'text', (column) => column.notNull())
        .addColumn('created_at', 'bigint', (column) => column.notNull())
        .addColumn('created_by', 'text', (column) => column.notNull())
        .addPrimaryKeyConstraint('dataset_versions_key', ['name', 'version'])
        .addUniqueConstraint('dataset_versions_content', ['name', 'digest'])
        .execute();
      await tx.schema
        .createTable('dataset_appends')
        .addColumn('name', text, (column) => column.notNull())
        .addColumn('idempotency_key', 'text', (column) => column.notNull())
        .addColumn('version', 'integer', (column) => column.notNull())
        .addPrimaryKeyConstraint('dataset_appends_key', ['name', 'idempotency_key'])
        .execute();
    },
  },
];
