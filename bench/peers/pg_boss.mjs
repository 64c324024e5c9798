// pg-boss: every step is a job, in a queue for each step.
//
// Settings: batchSize 1000 with burstWhenBatchFull, so that a worker fetches
// and completes 1000 jobs with one statement each and fetches again at once,
// and two such workers for each queue (localConcurrency); polling at its
// shortest, 0.5 s, beside LISTEN/NOTIFY.  Each queue has a table of its own
// (partition), without which fresh statistics of the common table made fetching
// slow.  Batches of 200, 2000 or 3000, one or four workers, and a second
// process were no faster.
//
// W2: one flow of three dependent jobs for each run.  The engine releases the
// dependent jobs of completed ones in the background at most once a second, so
// the program calls resolveFlow() itself, in a loop with pauses of 10 ms, and
// wakes the workers when jobs were released.
//
// W2b: the batch handler of a step inserts the jobs of the next one with one
// insert(), in the transaction that completes the batch (transactional).
// Inserting them one by one with send() is more than ten times slower.
import { setTimeout as sleep } from 'node:timers/promises';
import { PgBoss } from 'pg-boss';
import { benchmark } from './peer.mjs';

const schema = 'pgboss';
const names = (steps) => Array.from({ length: steps }, (_, i) => `step${i + 1}`);
const { PGHOST, PGPORT, PGUSER, PGDATABASE } = process.env;
async function open(supervise) {
  const boss = new PgBoss({
    host: PGHOST, port: PGPORT, user: PGUSER, database: PGDATABASE, schema,
    max: 20, useListenNotify: true, schedule: false, supervise,
  });
  boss.on('error', console.error);
  return await boss.start();
}

const flow = (run, steps) => names(steps).map((name, i, all) => ({
  name, ref: `${name} of ${run}`, dependsOn: i > 0 ? [`${all[i - 1]} of ${run}`] : [],
}));

await benchmark({
  name: 'pg-boss',
  schema,
  processes: { W1: 1, W2: 1, W2b: 1 },

  async setup(runs, steps, workload) {
    const boss = await open(false);
    for (const name of names(steps))
      await boss.createQueue(name, { partition: true, notify: true });
    for (let left = runs; left > 0; left -= 5000) {
      const jobs = Array(Math.min(left, 5000)).fill({});
      if (workload === 'W2') await boss.flow(jobs.flatMap((_, run) => flow(run, steps)));
      else await boss.insert('step1', jobs);
    }
    await boss.stop();
  },

  async worker(workload, steps, done) {
    const boss = await open(true);
    const chained = workload === 'W2b';
    const options = {
      batchSize: 1000, burstWhenBatchFull: true, localConcurrency: 2,
      pollingIntervalSeconds: 0.5, notifyPollingIntervalSeconds: 0.5,
      transactional: chained,
    };
    const workers = [];
    let resolving;
    async function resolve() {
      boss.on('flow', () => workers.forEach((id) => boss.notifyWorker(id)));
      while (resolving) {
        await boss.resolveFlow();
        await sleep(10);
      }
    }
    return {
      async start() {
        for (const [i, name] of names(steps).entries())
          workers.push(await boss.work(name, options, async (jobs, db) => {
            if (i + 1 === steps) done(jobs.length);
            else if (chained) await boss.insert(`step${i + 2}`, jobs.map(() => ({})), { db });
          }));
        resolving = workload === 'W2';
        resolve();
      },
      async stop() {
        resolving = false;
        await boss.stop();
      },
    };
  },

  unfinished: `select from ${schema}.job where state < 'completed' limit 1`,
  finished: (steps) => `select count(*) from ${schema}.job
                        where state = 'completed' and name = 'step${steps}'`,
});
