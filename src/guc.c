/*-------------------------------------------------------------------------
 *
 * guc.c
 *	  Settings.
 *
 * None of them can be set by an ordinary user: what a worker may do is not
 * for the tasks it runs to decide.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/guc.h"

#include "guc.h"

bool		cano_enabled = true;
int			cano_max_workers = 8;
int			cano_workers_per_role = 4;
int			cano_idle_timeout = 10000;
int			cano_batch_time = 5;
int			cano_batch_steps = 1000;
int			cano_long_task = 300000;
int			cano_max_crashes = 3;
int			cano_max_value_size = 65536;
bool		cano_allow_superuser_runs = true;
int			cano_function_trust = CANO_TRUST_ANY;
int			cano_node_id = 0;
int			cano_log_level = LOG;
#ifdef CANO_DEBUG_POINTS
char	   *cano_debug_stop = NULL;
int			cano_debug_clock = 0;
#endif

static const struct config_enum_entry trust_options[] = {
	{"any", CANO_TRUST_ANY, false},
	{"owner", CANO_TRUST_OWNER, false},
	{NULL, 0, false}
};

static const struct config_enum_entry level_options[] = {
	{"debug2", DEBUG2, false},
	{"debug1", DEBUG1, false},
	{"info", INFO, false},
	{"notice", NOTICE, false},
	{"warning", WARNING, false},
	{"log", LOG, false},
	{NULL, 0, false}
};

void
cano_guc_init(void)
{
	DefineCustomBoolVariable("cano.allow_superuser_runs",
							 "Lets superusers submit runs, and workers run them.",
							 NULL,
							 &cano_allow_superuser_runs, true,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("cano.batch_steps",
							"Sets how many steps may share one commit.",
							NULL,
							&cano_batch_steps, 1000, 1, 10000,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("cano.batch_time",
							"Sets how long steps may gather before they are committed.",
							"A task that usually takes longer than this is committed alone.",
							&cano_batch_time, 5, 0, 10000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomBoolVariable("cano.enabled",
							 "Runs background workers.",
							 "When off, only CALL cano.work() and cano.orchestrate() run tasks.",
							 &cano_enabled, true,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("cano.function_trust",
							 "Sets whose functions may be tasks.",
							 "\"any\": whatever the run's role may execute; \"owner\": only functions of that role or of a superuser.",
							 &cano_function_trust, CANO_TRUST_ANY, trust_options,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("cano.idle_timeout",
							"Sets how long a worker without work stays.",
							NULL,
							&cano_idle_timeout, 10000, 0, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomEnumVariable("cano.log_level",
							 "Sets the level at which the failure of a run is logged.",
							 NULL,
							 &cano_log_level, LOG, level_options,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("cano.long_task",
							"Sets after what time cano.health() reports a running task.",
							NULL,
							&cano_long_task, 300000, 1000, INT_MAX,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("cano.max_crashes",
							"Sets how often a job may take its session or the server down before its run fails.",
							NULL,
							&cano_max_crashes, 3, 1, 1000,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("cano.max_value_size",
							"Sets the largest input or output of a task.",
							NULL,
							&cano_max_value_size, 65536, 1, 262144,
							PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("cano.max_workers",
							"Sets the number of workers of this server.",
							"Fewer are used where max_worker_processes leaves less.",
							&cano_max_workers, 8, 0, 100,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("cano.node_id",
							"Sets the number of this server among those whose run ids must differ.",
							NULL,
							&cano_node_id, 0, 0, 32767,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("cano.workers_per_role",
							"Sets the number of workers that one role may have in one database.",
							NULL,
							&cano_workers_per_role, 4, 1, 100,
							PGC_SIGHUP, 0, NULL, NULL, NULL);
#ifdef CANO_DEBUG_POINTS
	DefineCustomIntVariable("cano.debug_clock",
							"Sets how far the engine's clock is ahead.",
							NULL,
							&cano_debug_clock, 0, INT_MIN, INT_MAX,
							PGC_SUSET, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomStringVariable("cano.debug_stop",
							   "Stops the engine at a named point.",
							   "As point:action[:n] with action error, fatal, kill or wait; n: only the n-th passage.",
							   &cano_debug_stop, "",
							   PGC_SUSET, 0, NULL, NULL, NULL);
#endif
	MarkGUCPrefixReserved("cano");
}
