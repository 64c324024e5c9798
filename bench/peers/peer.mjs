// What the three peers share: the command line, the worker processes, the
// clock and the last check.
//
//   node NAME.mjs WORKLOAD RUNS [PROCESSES]
//
// The parent makes the schema and fills the queue, then forks the workers.
// The clock starts when all of them have loaded their code and connected and
// the first says that its engine has started; it stops when the database holds
// no unfinished run any more.  The parent leaves the database alone until the
// workers say that they have handled the last step, so that asking costs the
// engine nothing.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

const STEPS = { W1: 1, W2: 3, W2b: 3 };

// An engine has
//   name, schema
//   processes   how many workers are fastest, for each workload it has
//   setup(runs, steps, workload)  makes the schema and fills the queue
//   worker(workload, steps, done)  connects; gives start() and stop(), and its
//     handlers call done(n) for n runs whose last step they have handled
//   unfinished  SQL giving a row as long as a run is unfinished
//   finished(steps)  SQL giving the number of finished runs
export async function benchmark(engine) {
  try {
    const [workload, runs, processes = engine.processes[workload]] = process.argv.slice(2);
    const steps = STEPS[workload];
    if (!engine.processes[workload] || !(runs > 0) || !(processes > 0))
      throw new Error(`usage: ${engine.name} ${Object.keys(engine.processes).join('|')} RUNS [PROCESSES]`);
    if (process.send) await work(engine, workload, steps);
    else await measure(engine, workload, steps, Number(runs), Number(processes));
  } catch (error) {
    console.error(error);
    process.exit(1);
  }
}

async function work(engine, workload, steps) {
  let handled = 0, timer;
  const report = () => {
    timer = undefined;
    process.send(handled);
    handled = 0;
  };
  const worker = await engine.worker(workload, steps, (n) => {
    handled += n;
    timer ??= setTimeout(report, 5);
  });
  process.send('ready');
  await once(process, 'message');
  await worker.start();
  process.send('started');
  await once(process, 'disconnect');
  await worker.stop();
  process.exit(0);
}

async function measure(engine, workload, steps, runs, processes) {
  const db = new pg.Client();
  await db.connect();
  await db.query(`drop schema if exists ${engine.schema} cascade`);
  await engine.setup(runs, steps, workload);
  await db.query('vacuum');

  let ready = 0, started = 0, left = runs, fail, look = () => {};
  const failed = new Promise((_, reject) => { fail = reject; });
  failed.catch(() => {});
  const until = (condition) => Promise.race([failed, new Promise((resolve) => {
    look = () => { if (condition()) resolve(); };
  })]);
  const workers = Array.from({ length: processes }, () =>
    fork(process.argv[1], process.argv.slice(2), { stdio: ['ignore', 2, 2, 'ipc'] }));
  const exits = workers.map((worker) => {
    worker.on('message', (message) => {
      if (message === 'ready') ready++;
      else if (message === 'started') started++;
      else left -= message;
      look();
    });
    return once(worker, 'exit').then(([code]) => {
      fail(new Error(`a worker ended before the last run, with ${code}`));
      return code;
    });
  });

  await until(() => ready === processes);
  for (const worker of workers) worker.send('start');
  await until(() => started > 0);
  const start = process.hrtime.bigint();
  await until(() => left <= 0);
  while ((await db.query(engine.unfinished)).rowCount > 0)
    await Promise.race([failed, sleep(2)]);
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;

  for (const worker of workers) worker.disconnect();
  for (const code of await Promise.all(exits))
    if (code !== 0) throw new Error(`a worker did not stop cleanly: ${code}`);
  const { rows } = await db.query({ text: engine.finished(steps), rowMode: 'array' });
  if (Number(rows[0][0]) !== runs)
    throw new Error(`${rows[0][0]} of ${runs} runs finished`);
  await db.query(`drop schema ${engine.schema} cascade`);
  await db.end();
  console.log(JSON.stringify(
    { peer: engine.name, workload, runs, steps: runs * steps, seconds }));
}
