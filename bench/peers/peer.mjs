// What the three peers share: the command line, the worker processes, the
// clock and the last check.
//
//   node NAME.mjs WORKLOAD RUNS [PROCESSES]
//
// The parent makes the schema and fills the queue, then forks the workers.
// The clock starts when every worker has loaded its code and connected, and it
// stops when the database holds no unfinished run any more.  The parent leaves
// the database alone until the workers say that they have handled the last
// step, so that asking costs the engine nothing.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

const STEPS = { W1: 1, W2: 3, W2b: 3 };

// An engine has
//   schema                     the schema that is its own
//   processes                  how many workers are fastest, per workload
//   setup(runs, steps, workload)   makes the schema and fills the queue
//   worker(workload, steps, done)  connects; gives start() and stop(); the handlers
//                              call done(n) for n runs whose last step was run
//   unfinished                 SQL giving a row as long as a run is unfinished
//   finished(steps)            SQL giving the number of finished runs
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
  await once(process, 'disconnect');
  await worker.stop();
  process.exit(0);
}

async function measure(engine, workload, steps, runs, processes) {
  const db = new pg.Client();
  await db.connect();
  await db.query(`drop schema if exists ${engine.schema} cascade`);
  await engine.setup(runs, steps, workload);
  await db.query('vacuum (analyze)');

  let ready = 0, left = runs, fail;
  const failed = new Promise((_, reject) => { fail = reject; });
  const workers = Array.from({ length: processes }, () =>
    fork(process.argv[1], process.argv.slice(2), { stdio: ['ignore', 2, 2, 'ipc'] }));
  const exits = workers.map((w) => once(w, 'exit'));
  for (const exit of exits)
    exit.then(([code]) => fail(new Error(`a worker ended: ${code}`)));
  const until = async (condition) => {
    while (!condition()) await Promise.race([wake(workers), failed]);
  };
  for (const w of workers)
    w.on('message', (m) => m === 'ready' ? ready++ : left -= m);

  await until(() => ready === processes);
  const start = process.hrtime.bigint();
  for (const w of workers) w.send('start');
  await until(() => left <= 0);
  while ((await db.query(engine.unfinished)).rowCount > 0) await sleep(2);
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;

  failed.catch(() => {});
  for (const w of workers) w.disconnect();
  for (const [code] of await Promise.all(exits))
    if (code !== 0) throw new Error(`a worker did not stop cleanly: ${code}`);
  const { rows } = await db.query({ text: engine.finished(steps), rowMode: 'array' });
  if (Number(rows[0][0]) !== runs)
    throw new Error(`${rows[0][0]} of ${runs} runs finished`);
  await db.query(`drop schema ${engine.schema} cascade`);
  await db.end();
  console.log(JSON.stringify(
    { peer: engine.name, workload, runs, steps: runs * steps, seconds }));
}

const wake = (workers) =>
  Promise.race(workers.map((w) => once(w, 'message')));
