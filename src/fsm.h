/*-------------------------------------------------------------------------
 *
 * fsm.h
 *	  The decision core: what just happened -> what comes next.
 *
 * A pure function.  It touches no table, no clock, no random number and no
 * memory but its arguments; the shell (step.c, batch.c) acts upon its
 * decision.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_FSM_H
#define CANO_FSM_H

#include "join.h"
#include "model.h"

/* Why a job is due; stored in the job row as this character. */
typedef enum CanoDuty
{
	CANO_DUTY_ENTER = 'e',		/* do what the state is for */
	CANO_DUTY_WAKE = 'w',		/* the time this state waited for has come */
	CANO_DUTY_SIGNAL = 's',		/* the signal this state waited for is there */
	CANO_DUTY_JOIN = 'j',		/* all its branches or items are done with */
	CANO_DUTY_CHILD = 'c',		/* its child has ended */
	CANO_DUTY_RESUME = 'r',		/* enter the state again, after it had ended */
	CANO_DUTY_UNDO = 'u',		/* undo what it has completed, latest first */
	CANO_DUTY_PREPARE = 'p',	/* set a resource up, before the first state */

	/* These move the run itself nowhere: */
	CANO_DUTY_AFTER = 'a',		/* call what is called after its end */
	CANO_DUTY_PART = 'b',		/* do a branch or an item of it */
	CANO_DUTY_NOTICE = 'n',		/* look whether it waits for a signal that is
								 * there */
	CANO_DUTY_LEASE = 'l',		/* look whether a lease of it has run out */
	CANO_DUTY_STOP = 'x',		/* somebody asked it to stop: see where it is */
	CANO_DUTY_DEADLINE = 'd'	/* its own time is over */
} CanoDuty;

/* What happened to the run. */
typedef enum CanoHappened
{
	CANO_ARRIVED,				/* entered a state that calls nothing */
	CANO_WOKEN,					/* the state's own wait is over */
	CANO_SIGNALLED,				/* the signal it waited for is there */
	CANO_SAID_NEXT,				/* task returned: go on */
	CANO_SAID_UNTIL,			/* a timer's function returned its due time */
	CANO_SAID_MORE,
	CANO_SAID_PENDING,
	CANO_SAID_FAILED,			/* verdict: the run fails */
	CANO_SAID_CANCELLED,		/* verdict: the run is cancelled */
	CANO_SAID_ITEMS,			/* a batch's load returned them */
	CANO_JOINED,				/* its branches or items are done with */
	CANO_CHILD_STARTED,
	CANO_CHILD_ENDED,
	CANO_CALLED_OFF,			/* somebody cancelled it from outside */
	CANO_OUT_OF_TIME,			/* the workflow's timeout is over */
	CANO_HELD_BACK,				/* a limiter lets no attempt begin now */
	CANO_ATTEMPT_FAILED,		/* the attempt raised an error */
	CANO_CRASHED				/* the job took its session or server down */
} CanoHappened;

typedef struct CanoEvent
{
	CanoHappened what;
	const char *target;			/* SAID_NEXT: state named, or NULL */
	int64_t		delay_us;		/* SAID_NEXT: enter it this much later;
								 * HELD_BACK: try again then */
	CanoCategory category;		/* ATTEMPT_FAILED: as the shell sees it */
	const char *sqlstate;		/* ATTEMPT_FAILED: five characters */
	int			crashes;		/* CRASHED: how often so far */
	int			items;			/* SAID_ITEMS */
	CanoTally	tally;			/* JOINED */
	CanoEnding	child;			/* CHILD_ENDED: how */

	/* Meanwhile; only of states that are not to be interrupted: */
	bool		called_off;		/* somebody cancelled the run */
	bool		out_of_time;	/* its timeout came to be over */
} CanoEvent;

/* The run as it stands. */
typedef struct CanoPosition
{
	int			state;
	int			attempt;		/* 1-based */
	int			errors;			/* poll: in a row, forgiven so far */
	bool		resumed;		/* before: it goes on where it is, and does
								 * not begin there */
	int			max_attempts;	/* the run's own limit, 0 = the state's */
	int			max_crashes;
	double		random;			/* uniform in [-1, 1], for jitter */
} CanoPosition;

typedef enum CanoVerb
{
	CANO_GO,					/* the state named is due now */
	CANO_WAIT,					/* it is due later */
	CANO_END					/* the run ends */
} CanoVerb;

/* What a waiting run waits for. */
typedef enum CanoWaiting
{
	CANO_WAIT_RETRY = 'r',
	CANO_WAIT_TIMER = 't',
	CANO_WAIT_SCHEDULE = 's',
	CANO_WAIT_POLL = 'p',
	CANO_WAIT_SIGNAL = 'g',
	CANO_WAIT_BRANCHES = 'b',
	CANO_WAIT_ITEMS = 'i',
	CANO_WAIT_CHILD = 'c',
	CANO_WAIT_EXTERNAL = 'x'
} CanoWaiting;

/* Which error the run ends with. */
typedef enum CanoFault
{
	CANO_FAULT_NONE,
	CANO_FAULT_TASK,			/* the task's own error, as it is */
	CANO_FAULT_EXHAUSTED,		/* the same, wrapped: attempts used up */
	CANO_FAULT_VERDICT,			/* the task's own reason */
	CANO_FAULT_NO_SIGNAL,		/* it waited for a signal in vain */
	CANO_FAULT_JOIN,			/* too few of its branches succeeded */
	CANO_FAULT_CHILD,			/* its child's own error */
	CANO_FAULT_CALLED_OFF,		/* somebody cancelled it */
	CANO_FAULT_OUT_OF_TIME,		/* the workflow's timeout */
	CANO_FAULT_EXIT,			/* an exit whose outcome is not completed */
	CANO_FAULT_POISONED,		/* it crashed too often */
	CANO_FAULT_NO_NEXT,			/* no state given and no default */
	CANO_FAULT_UNKNOWN_STATE,
	CANO_FAULT_NOT_A_TARGET,
	CANO_FAULT_WRONG_OUTCOME	/* its kind does not know this outcome */
} CanoFault;

typedef struct CanoDecision
{
	CanoVerb	verb;
	int			state;			/* where the run is now */
	bool		moved;			/* it has left the state it was in, all well */
	bool		entered;		/* append an entry row for that state */
	bool		completed;		/* append a completion row for the state it
								 * was in: that is to be undone if the run
								 * fails */
	bool		cursor;			/* append a cursor row for it */
	bool		keep;			/* keep the attempt's effects and its output */
	bool		failed_attempt; /* record a failed attempt */
	bool		fans_out;		/* WAIT: its branches or items begin */
	bool		breaks;			/* END of an item: the others are not to be
								 * waited for */
	CanoDuty	duty;			/* GO, WAIT: what to do when due */
	int			attempt;		/* GO, WAIT: the attempt that will be */
	int			errors;			/* GO, WAIT: poll: forgiven by then; before
								 * and after: which call is next */
	CanoWaiting waiting;		/* WAIT: for what; POLL also with GO */
	bool		own_time;		/* WAIT: due when the state itself says */
	int64_t		delay_us;		/* WAIT, unless own_time: due in so long */
	CanoEnding	ending;			/* END */
	CanoFault	fault;			/* END: why, unless completed */
	CanoCategory category;		/* END: of the run's error */
	bool		dead;			/* END: counts as a dead letter */
	bool		rolls_back;		/* END: once all that was completed is undone */
} CanoDecision;

/* Decide what follows from an event. */
extern CanoDecision cano_fsm_decide(const CanoModel *model,
									const CanoPosition *position,
									const CanoEvent *event);

/*
 * The same for a branch of a split, an item of a batch or a compensation.  END
 * means that it is over: COMPLETED, FAILED, or CANCELLED when it cancels the
 * run.
 */
extern CanoDecision cano_fsm_decide_part(const CanoState *part,
										 const CanoPosition *position,
										 const CanoEvent *event);

/*
 * How a run whose completed states were to be undone has been rolled back.
 */
typedef enum CanoRollback
{
	CANO_ROLLBACK_NONE,			/* there was nothing to undo */
	CANO_ROLLBACK_CLEAN,
	CANO_ROLLBACK_PARTIAL
} CanoRollback;

extern CanoRollback cano_fsm_rolled_back(int undone, int errors);

/*
 * The same for what is called before the first state, and after the end.
 * Both are calls in a row, of which position->errors says which this is, and
 * "next" which follows, or CANO_NO_CALL.  Before, a failure ends the run, and
 * the first state is entered after the last call.  After, END means that
 * there is no more to call; a fault says why this call was given up, and ends
 * nothing.
 */
#define CANO_NO_CALL	(-1)

extern CanoDecision cano_fsm_decide_before(const CanoModel *model,
										   const CanoState *call, int next,
										   const CanoPosition *position,
										   const CanoEvent *event);
extern CanoDecision cano_fsm_decide_after(const CanoState *call, int next,
										  const CanoPosition *position,
										  const CanoEvent *event);

/* Index of the state of that name, or CANO_NO_STATE. */
extern int	cano_fsm_state(const CanoModel *model, const char *name);

/* Whether entering this state leaves a checkpoint row. */
extern bool cano_fsm_leaves_row(const CanoState *state);

/* Attempts that a position allows. */
extern int	cano_fsm_max_attempts(const CanoState *state,
								  const CanoPosition *position);

#endif							/* CANO_FSM_H */
