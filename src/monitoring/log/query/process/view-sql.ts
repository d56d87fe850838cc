import type { ModelView } from '../../log-messages.ts';
import { latestLabels } from '../../process/log-relations.ts';
import { featureColumns } from '../../process/model-columns.ts';
import { identifier, literal } from '../../process/quote-sql.ts';
import { nameFeatures, nameViews } from '../name-views.ts';

const text = (json: string): string => `json_extract_string(${json}, '$')`;

/** The views that users' SQL may name: `predictions`, `labels`, and one typed view for each model. */
export function viewStatements(predictions: string, labels: string, views: readonly ModelView[]): string[] {
  const statements = [
    `CREATE TEMP VIEW predictions AS SELECT coalesce(p.id, p.u::VARCHAR) AS prediction_id, epoch_ms(p.t) AS timestamp,
       epoch_ms(p.taken) AS answered_at, p.model AS model, version, variant, ms AS latency_ms, features::JSON AS features,
       ${text('prediction')} AS prediction, probabilities, split_key AS key, cloud_event::JSON AS cloud_event,
       ${text('l.latest.label')} AS label, epoch_ms(l.latest.t) AS label_timestamp
     FROM ${predictions} p LEFT JOIN ${latestLabels(labels)} l ON l.u = p.u AND l.model = p.model`,
    `CREATE TEMP VIEW labels AS SELECT coalesce(id, u::VARCHAR) AS prediction_id, model, ${text('label')} AS label,
       epoch_ms(t) AS timestamp, epoch_ms(taken) AS taken_at,
       row_number() OVER (PARTITION BY u, model ORDER BY t DESC, taken DESC, segment DESC, line DESC) = 1 AS is_latest
     FROM ${labels}`,
  ];
  const names = nameViews(views.map(({ model }) => model));
  for (const [index, view] of views.entries())
    statements.push(modelView(names[index]!, view, predictions, labels));
  return statements;
}

function modelView(name: string, view: ModelView, predictions: string, labels: string): string {
  const names = nameFeatures(view.columns.map((column) => column.name));
  const model = literal(view.model);
  const source = `(SELECT * FROM ${predictions} WHERE model = ${model})`;
  const { relation, expressions } = featureColumns(view.columns, source);
  const features = names.map((free, index) => `${expressions[index]} AS ${identifier(free)}`);
  const ofLabels = `(SELECT * FROM ${labels} WHERE model = ${model})`;
  return `CREATE TEMP VIEW ${identifier(name)} AS SELECT coalesce(p.id, p.u::VARCHAR) AS prediction_id,
      epoch_ms(p.t) AS timestamp, epoch_ms(p.taken) AS answered_at, version, variant, ms AS latency_ms,
      ${features.map((feature) => `${feature}, `).join('')}
      ${answerSql('prediction', view)} AS prediction, probabilities, split_key AS key,
      ${answerSql('l.latest.label', view)} AS label, epoch_ms(l.latest.t) AS label_timestamp
    FROM ${relation} p LEFT JOIN ${latestLabels(ofLabels)} l ON l.u = p.u`;
}

/** A class or value as people count with it: true and false as 1 and 0, so that their mean is a share. */
function answerSql(json: string, { answer }: ModelView): string {
  const value = text(json);
  if (answer === undefined) return value;
  if (answer.task === 'regression') return `TRY_CAST(${value} AS DOUBLE)`;
  if (answer.classes.every((each) => typeof each === 'boolean'))
    return `CASE ${value} WHEN 'true' THEN 1 WHEN 'false' THEN 0 ELSE TRY_CAST(${value} AS INTEGER) END`;
  if (answer.classes.every((each) => typeof each === 'number')) return `TRY_CAST(${value} AS DOUBLE)`;
  return value;
}
