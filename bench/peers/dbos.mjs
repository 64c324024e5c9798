// DBOS: every run is a workflow, every step a DBOS.runStep in it.
//
// Settings: the runs are enqueued on a queue whose minPollingIntervalMs is 10
// instead of 1000 and whose workerConcurrency of 1000 lets a worker claim up to
// so many runs at a time; the pool has 20 connections instead of 10.  Pools of
// 10 to 80, polling every 1 to 100 ms and 100 to 100000 runs at a time were no
// faster, nor was a second process on two cores: it shares the CPU with the
// server.  Starting the workflows directly with 100 or 200 in flight was
// slower, as the insertion of the run then falls into the measured time.
//
// Each step is an insertion of its own, and the end of a run an update.
import { DBOS } from '@dbos-inc/dbos-sdk';
import { benchmark } from './peer.mjs';

const schema = 'dbos';
const connections = 20;
const { PGHOST = '', PGPORT = '5432', PGUSER = '', PGDATABASE = '' } = process.env;
const query = new URLSearchParams({ host: PGHOST, port: PGPORT });
const config = {
  name: 'bench',
  systemDatabaseUrl: `postgresql://${encodeURIComponent(PGUSER)}@localhost/${encodeURIComponent(PGDATABASE)}?${query}`,
  systemDatabaseSchemaName: schema,
  systemDatabasePoolSize: connections,
  logLevel: 'warn',
};

let handled;
const run = DBOS.registerWorkflow(async (steps) => {
  for (let step = 1; step <= steps; step++)
    await DBOS.runStep(async () => {}, { name: `step${step}` });
  handled(1);
}, { name: 'run' });

await benchmark({
  name: 'dbos',
  schema,
  processes: { W1: 1, W2: 1 },

  async setup(runs, steps) {
    DBOS.setConfig({ ...config, listenQueues: ['none'] });
    await DBOS.launch();
    await DBOS.registerQueue('runs', { workerConcurrency: 1000, minPollingIntervalMs: 10 });
    await Promise.all(Array.from({ length: connections }, async () => {
      while (runs-- > 0) await DBOS.startWorkflow(run, { queueName: 'runs' })(steps);
    }));
    await DBOS.shutdown();
  },

  // A launched worker begins to poll, so launching is what starts it.
  async worker(workload, steps, done) {
    handled = done;
    DBOS.setConfig({ ...config, executorID: `worker${process.pid}`, runMigrations: false });
    return { start: () => DBOS.launch(), stop: () => DBOS.shutdown() };
  },

  unfinished: `select from ${schema}.workflow_status
               where status in ('ENQUEUED', 'PENDING') limit 1`,
  finished: (steps) =>
    `select count(*) from ${schema}.workflow_status w where status = 'SUCCESS'
     and (select count(*) from ${schema}.operation_outputs o
          where o.workflow_uuid = w.workflow_uuid) = ${steps}`,
});
