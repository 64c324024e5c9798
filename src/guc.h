/*-------------------------------------------------------------------------
 *
 * guc.h
 *	  Settings.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_GUC_H
#define CANO_GUC_H

extern bool cano_enabled;
extern int	cano_max_workers;
extern int	cano_workers_per_role;
extern int	cano_idle_timeout;	/* ms */
extern int	cano_batch_time;	/* ms */
extern int	cano_batch_steps;
extern int	cano_long_task;		/* ms */
extern int	cano_max_crashes;
extern int	cano_max_value_size;	/* kB */
extern bool cano_allow_superuser_runs;
extern int	cano_function_trust;	/* CANO_TRUST_... */
extern int	cano_node_id;
extern int	cano_log_level;		/* elevel */
#ifdef CANO_DEBUG_POINTS
extern char *cano_debug_stop;	/* name:action[:n] */
extern int	cano_debug_clock;	/* ms that the engine's clock is ahead */
#endif

#define CANO_TRUST_ANY		0
#define CANO_TRUST_OWNER	1

extern void cano_guc_init(void);

#endif							/* CANO_GUC_H */
