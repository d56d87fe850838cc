import { type Migration, sortedText } from '../../platform/index.ts';

export const logMigrations: Migration[] = [
  {
    id: '0060-monitoring-log',
    async up(tx, dialect) {
      const text = sortedText(dialect) as never;
      await tx.schema
        .createTable('log_state')
        .addColumn('id', 'integer', (column) => column.primaryKey())
        .addColumn('next_id', 'bigint', (column) => column.notNull())
        .addColumn('segments_revision', 'bigint', (column) => column.notNull())
        .addColumn('files_revision', 'bigint', (column) => column.notNull())
        .execute();
      await tx
        .insertInto('log_state')
        .values({ id: 1, next_id: 1, segments_revision: 0, files_revision: 0 })
        .execute();
      await tx.schema
        .createTable('log_segments')
        .addColumn('kind', text, (column) => column.notNull())
        .addColumn('replica', text, (column) => column.notNull())
        .addColumn('incarnation', text, (column) => column.notNull())
        .addColumn('sequence', 'bigint', (column) => column.notNull())
        .addColumn('id', 'bigint', (column) => column.notNull().unique())
        .addColumn('sha256', 'text', (column) => column.notNull())
        .addColumn('size_bytes', 'bigint', (column) => column.notNull())
        .addColumn('state', 'text', (column) => column.notNull())
        .addColumn('generation', text)
        .addColumn('artifact', 'text', (column) => column.notNull())
        .addColumn('taken_at', 'bigint', (column) => column.notNull())
        .addColumn('received_ms', 'bigint', (column) => column.notNull())
        .addColumn('rows_taken', 'bigint')
        .addColumn('bad_lines', 'bigint')
        .addPrimaryKeyConstraint('log_segments_key', ['kind', 'replica', 'incarnation', 'sequence'])
        .execute();
      await tx.schema.createIndex('log_segments_state').on('log_segments').columns(['state', 'id']).execute();
      await tx.schema
        .createIndex('log_segments_generation')
        .on('log_segments')
        .columns(['generation', 'state'])
        .execute();
      await tx.schema
        .createTable('log_files')
        .addColumn('id', 'bigint', (column) => column.primaryKey())
        .addColumn('kind', 'text', (column) => column.notNull())
        .addColumn('model', text, (column) => column.notNull())
        .addColumn('from_ms', 'bigint', (column) => column.notNull())
        .addColumn('to_ms', 'bigint', (column) => column.notNull())
        .addColumn('row_count', 'bigint', (column) => column.notNull())
        .addColumn('size_bytes', 'bigint', (column) => column.notNull())
        .addColumn('artifact', 'text', (column) => column.notNull())
        .addColumn('sha256', 'text', (column) => column.notNull())
        .addColumn('columns', 'text', (column) => column.notNull())
        .addColumn('created_at', 'bigint', (column) => column.notNull())
        .execute();
      await tx.schema
        .createTable('log_garbage')
        .addColumn('artifact', text, (column) => column.primaryKey())
        .addColumn('pending', 'integer', (column) => column.notNull())
        .addColumn('queued_ms', 'bigint', (column) => column.notNull())
        .execute();
      await tx.schema
        .createTable('log_drops')
        .addColumn('model', text, (column) => column.notNull())
        .addColumn('cause', text, (column) => column.notNull())
        .addColumn('row_count', 'bigint', (column) => column.notNull())
        .addPrimaryKeyConstraint('log_drops_key', ['model', 'cause'])
        .execute();
    },
  },
];
