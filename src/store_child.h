/*-------------------------------------------------------------------------
 *
 * store_child.h
 *	  How the children of a run ended.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_STORE_CHILD_H
#define CANO_STORE_CHILD_H

#include "utils/jsonb.h"

#include "model.h"

/*
 * How the latest child of a run ended: its data, and its error or NULL, are
 * allocated in "context".  False if there is no child that has ended.  Needs
 * an open window.
 */
extern bool cano_store_last_child(int64 parent, MemoryContext context,
								  CanoEnding *ending, Jsonb **data,
								  Jsonb **error);

#endif							/* CANO_STORE_CHILD_H */
