import { serveSteps } from '../jobs/index.ts';
import { stepHandlers } from './step-handlers.ts';

serveSteps(stepHandlers);
