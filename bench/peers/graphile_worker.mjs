// graphile-worker: every step is a job.
//
// Settings: those of the performance page of its documentation.  A local queue
// of 500 jobs fetches many jobs with one statement, completeJobBatchDelay 0
// deletes the finished ones with one statement, 24 jobs run at once over a pool
// of two connections more, and the refetch delay of 10 ms keeps the
// notifications from causing fetches of few jobs.  Other numbers (4 to 500 jobs
// at once, a local queue of 100 to 2000, a batch delay of 0 to 250 ms) were no
// faster.  W1 and W2b gain from a second process, W2 does not.
//
// W2: the handler of a step adds the job of the next one with addJob before it
// ends.  Each addJob is a transaction with a NOTIFY, and PostgreSQL lets only
// one such transaction commit at a time, so these commits share no flush.
//
// W2b: the same, but the handlers that run at the same time gather their next
// jobs and add them with one addJobs; each still waits until its own is added.
// The engine has no such gathering of its own.  200 jobs at once are fastest.
//
// As addJob and the deletion of the job that called it are two transactions, a
// crash between them runs the step again, and then those after it too.
//
// A finished job is deleted, so the number of finished runs is that of the ids
// given to jobs less the jobs left.
import { Logger, makeWorkerUtils, run } from 'graphile-worker';
import pg from 'pg';
import { benchmark } from './peer.mjs';

const schema = 'graphile_worker';
const logger = new Logger(() => (level, message) => {
  if (level === 'error' || level === 'warning') console.error(message);
});
const preset = (concurrentJobs) => ({
  worker: {
    schema,
    concurrentJobs,
    localQueue: { size: 500, refetchDelay: { durationMs: 10 } },
    completeJobBatchDelay: 0,
    failJobBatchDelay: 0,
  },
});
const pool = (max) => new pg.Pool({ max })
  .on('error', console.error)
  .on('connect', (client) => client.on('error', console.error));
const job = (step) => ({ identifier: 'step', payload: { step } });

let gathered;
function gather(step, helpers) {
  gathered ??= { jobs: [], added: new Promise(setImmediate).then(() => {
    const { jobs } = gathered;
    gathered = undefined;
    return helpers.addJobs(jobs);
  }) };
  gathered.jobs.push(job(step));
  return gathered.added;
}

await benchmark({
  name: 'graphile-worker',
  schema,
  processes: { W1: 2, W2: 1, W2b: 2 },

  async setup(runs) {
    const pgPool = pool(2);
    const utils = await makeWorkerUtils({ pgPool, preset: preset(1), logger });
    await utils.migrate();
    for (let left = runs; left > 0; left -= 10000)
      await utils.addJobs(Array(Math.min(left, 10000)).fill(job(1)));
    await utils.release();
    await pgPool.end();
  },

  async worker(workload, steps, done) {
    const [concurrentJobs, connections] = workload === 'W2b' ? [200, 10] : [24, 26];
    const pgPool = pool(connections);
    const clients = await Promise.all(Array.from({ length: connections }, () => pgPool.connect()));
    for (const client of clients) client.release();
    const next = workload === 'W2b' ? gather
      : (step, helpers) => helpers.addJob('step', { step });
    const taskList = {
      async step({ step }, helpers) {
        if (step < steps) await next(step + 1, helpers);
        else done(1);
      },
    };
    let runner;
    return {
      async start() {
        runner = await run({ pgPool, preset: preset(concurrentJobs), logger, taskList,
          parsedCronItems: [], noHandleSignals: true });
      },
      async stop() {
        await runner.stop();
        await pgPool.end();
      },
    };
  },

  unfinished: `select from ${schema}._private_jobs limit 1`,
  finished: (steps) =>
    `select (nextval(pg_get_serial_sequence('${schema}._private_jobs', 'id')) - 1
             - (select count(*) from ${schema}._private_jobs)) / ${steps}.0`,
});
