/*-------------------------------------------------------------------------
 *
 * cano.c
 *	  Where the library starts: a table of contents.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "compat.h"
#include "function.h"
#include "guc.h"
#include "launcher.h"
#include "scrub.h"
#include "shmem.h"
#include "utility.h"
#include "window.h"

PG_MODULE_MAGIC;

void
_PG_init(void)
{
	cano_guc_init();
	cano_window_init();
	cano_function_init();
	cano_scrub_init();
	cano_utility_init();

	/* Without preload there are no workers; sessions can still work. */
	if (process_shared_preload_libraries_in_progress)
	{
		cano_shmem_init();
		cano_launcher_register();
	}
}
