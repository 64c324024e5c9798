/*-------------------------------------------------------------------------
 *
 * cron.h
 *	  What cano asks of pg_cron: a job for each schedule.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_CRON_H
#define CANO_CRON_H

/* Raise unless pg_cron is here and the current user may use it. */
extern void cano_cron_require(void);

/*
 * Make or change the current user's job that fires the schedule.  What pg_cron
 * raises, of a wrong time table for instance, passes on.
 */
extern void cano_cron_schedule(int64 schedule, const char *cron);

/*
 * Remove the job that fires the schedule as that role, if there is one; the
 * current user must be that role or a superuser.
 */
extern void cano_cron_unschedule(int64 schedule, const char *role);

#endif							/* CANO_CRON_H */
