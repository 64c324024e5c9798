/*-------------------------------------------------------------------------
 *
 * circuit.h
 *	  A circuit breaker: when it admits a call, and what becomes of it by how
 *	  calls end.
 *
 * Closed: calls are admitted, and failures in a row counted; as many as the
 * threshold open it.  Open: nothing is admitted until its time is over; the
 * first call after that makes it half open.  Half open: a few calls at once
 * are admitted; as many successes close it, any failure opens it again.
 *
 * Times are microseconds on any scale that goes forward.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_CIRCUIT_H
#define CANO_CIRCUIT_H

#include <stdbool.h>
#include <stdint.h>

typedef enum CanoCircuitState
{
	CANO_CIRCUIT_CLOSED,
	CANO_CIRCUIT_OPEN,
	CANO_CIRCUIT_HALF_OPEN
} CanoCircuitState;

/* How it is set.  May change at any time. */
typedef struct CanoCircuitPolicy
{
	int32_t		failure_threshold;	/* these three: at least 1 */
	int64_t		reset_us;
	int32_t		half_open_max_calls;
} CanoCircuitPolicy;

typedef struct CanoCircuit
{
	CanoCircuitState state;
	int32_t		failures;		/* in a row, until it opened */
	int32_t		in_flight;		/* this and the next: while half open */
	int32_t		successes;
	int64_t		open_until;		/* while open */
	uint64_t	epoch;			/* moves with every change of the state */
} CanoCircuit;

/* A closed one.  Two of one breaker must begin in epochs far apart. */
extern void cano_circuit_init(CanoCircuit *circuit, uint64_t epoch);

/*
 * May a call begin?  If so its end is to be told with the epoch as it is now.
 */
extern bool cano_circuit_acquire(CanoCircuit *circuit,
								 const CanoCircuitPolicy *policy, int64_t now);

/* How a call ended.  Nothing if the state has changed since it began. */
extern void cano_circuit_report(CanoCircuit *circuit,
								const CanoCircuitPolicy *policy,
								uint64_t epoch, bool success, int64_t now);

/* The call has not taken place after all. */
extern void cano_circuit_return(CanoCircuit *circuit, uint64_t epoch);

extern const char *cano_circuit_name(CanoCircuitState state);

#endif							/* CANO_CIRCUIT_H */
