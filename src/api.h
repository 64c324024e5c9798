/*-------------------------------------------------------------------------
 *
 * api.h
 *	  cano.submit for callers in C.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_API_H
#define CANO_API_H

#include "fmgr.h"

/*
 * submit(workflow, input, key, headers, priority, run_at, max_attempts,
 * version, tags)
 */
extern Datum cano_submit(PG_FUNCTION_ARGS);

#endif							/* CANO_API_H */
