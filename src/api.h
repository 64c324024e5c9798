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
#include "utils/jsonb.h"

/* What cano.submit(workflow, input) does. */
extern int64 cano_api_submit(NullableDatum workflow, NullableDatum input);

/* Raise unless the current user may submit runs. */
extern void cano_api_check_role(void);

/* Raise unless this can be the input of a run. */
extern Jsonb *cano_api_check_input(Datum input, bool isnull);

#endif							/* CANO_API_H */
