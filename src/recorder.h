/*-------------------------------------------------------------------------
 *
 * recorder.h
 *	  The flight recorder: which job each slot was running when its process,
 *	  or the whole server, went down.
 *
 * A small file in the data directory, mapped by every process that runs
 * tasks, written with plain stores and never flushed: the page cache outlives
 * any process, and a power failure is not the fault of a task.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_RECORDER_H
#define CANO_RECORDER_H

/*
 * This process is about to run / has run this job.  Between the two, the end
 * of the process is a crash mark against the job, unless somebody else caused
 * it (terminated it, or crashed the server).  A negative id stands for
 * something that only exists in this transaction, of the job with the positive
 * one: that has to be careful.  Nothing without shared memory.
 */
extern void cano_recorder_begin(int64 job, int64 run);
extern void cano_recorder_end(void);

/*
 * Use the record of this slot; watch SIGQUIT and SIGTERM until detached.
 * Goes without when the file is of no use.
 */
extern void cano_recorder_attach(int slot);
extern void cano_recorder_detach(void);

/*
 * The process ends: decide whether its job is to blame.  True when somebody
 * else ended it.
 */
extern bool cano_recorder_exit(void);

/*
 * For the launcher, before it starts anything: turn what an earlier life of
 * the server left behind into crash marks.
 */
extern void cano_recorder_read(void);

#endif							/* CANO_RECORDER_H */
