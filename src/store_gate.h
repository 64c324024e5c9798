/*-------------------------------------------------------------------------
 *
 * store_gate.h
 *	  Who is under way of workflows that limit that, and who waits to be.
 *
 * All functions but the first need an open window.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_STORE_GATE_H
#define CANO_STORE_GATE_H

#include "place.h"
#include "statement.h"

typedef struct CanoGate
{
	const char *workflow;
	int			limit;
} CanoGate;

extern void cano_store_gates_init(CanoRows *gates);

/* The workflow's gate is to be looked after; "run" has left it, or is 0. */
extern void cano_store_touch_gate(CanoRows *gates, const char *workflow,
								  int limit, int64 run);

/* Each of these workflows once. */
extern CanoGate *cano_store_gates(const CanoRows *gates, int *n);

extern bool cano_store_has_number(const char *workflow, int64 run);
extern int	cano_store_free_numbers(const char *workflow, int limit, int n,
									int *numbers);

/* False if somebody has it by now. */
extern bool cano_store_take_number(const char *workflow, int number,
								   int64 run);

/* Those that have left give their numbers back. */
extern void cano_store_leave(CanoRows *gates);

/*
 * Make as many due that wait outside as there is room for.  Returns how many;
 * cano_column_place() has each.
 */
extern int	cano_store_let_in(const CanoGate *gate);

#endif							/* CANO_STORE_GATE_H */
