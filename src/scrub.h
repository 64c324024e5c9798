/*-------------------------------------------------------------------------
 *
 * scrub.h
 *	  After a task its session is as it was before.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_SCRUB_H
#define CANO_SCRUB_H

/* Once per process. */
extern void cano_scrub_init(void);

/* Before the task's subtransaction begins. */
extern void cano_scrub_begin(void);

/*
 * Before the task's subtransaction is kept: the cursors and large objects that
 * were opened in it are closed, as they are when it is undone.
 */
extern void cano_scrub_close(void);

/*
 * After it ended.  Nothing when none was begun.  False when something is left
 * that only the end of the transaction takes away.
 */
extern bool cano_scrub_end(void);

#endif							/* CANO_SCRUB_H */
