/*-------------------------------------------------------------------------
 *
 * store_submit.c
 *	  The rows that a run begins with: itself, its first checkpoint, its job,
 *	  and its deadline.
 *
 * A run that has resources to set up enters its first state after that.
 *
 * The deadline is a timer that says no more than that the run's time is over.
 * A run has one at most, so its id is the run's, negative: whoever ends the
 * run finds it, and no other job can have it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "error.h"
#include "fsm.h"
#include "origin.h"
#include "statement.h"
#include "store.h"
#include "store_submit.h"

/*
 * Every statement that inserts comes twice: for one run, whose id is $1, and
 * for several, whose ids are.
 */
#define ONE				"$1", ""
#define EACH			"u.id", " FROM unnest($1) u (id)"
#define ONE_RUN			"$1", "$2", ""
#define EACH_RUN		"u.id", "u.input", " FROM unnest($1, $2) u (id, input)"

#define INSERT_RUN_(id, input, from) \
	"INSERT INTO cano._run (id, input, definition, origin, owner, owner_name," \
	"	priority, max_attempts, run_at, submitted_at, status, cleared, dead," \
	"	key, tags, headers, parent, depth)" \
	" SELECT " id ", " input ", $3, $4, $5, $6, $7, $8, $9, $10, 'active'," \
	"	false, false, $11, $12, $13, $14, $15" from
#define INSERT_RUN(which) INSERT_RUN_(which)
#define RUN_TYPES \
	INT8OID, INT8OID, OIDOID, NAMEOID, INT4OID, INT4OID, TIMESTAMPTZOID, \
	TIMESTAMPTZOID, TEXTOID, TEXTARRAYOID, JSONBOID, INT8OID, INT4OID

#define INSERT_ENTRY_(id, from) \
	"INSERT INTO cano._checkpoint (run, sequence, kind, version, job," \
	"	recorded_at, state, task)" \
	" SELECT " id ", 0, 'e', $2, " id ", $3, $4, $5" from
#define INSERT_ENTRY(which) INSERT_ENTRY_(which)
#define ENTRY_TYPES INT4OID, TIMESTAMPTZOID, TEXTOID, TEXTOID

#define JOB_COLUMNS \
	"owner, priority, id, run, duty, state, attempt, sequence, errors"
#define JOB_TYPES OIDOID, INT4OID, CHAROID, TEXTOID, INT8OID

#define INSERT_JOB_(id, from) \
	"INSERT INTO cano._job (" JOB_COLUMNS ")" \
	" SELECT $2, $3, " id ", " id ", $4, $5, 1, $6, 0" from
#define INSERT_JOB(which) INSERT_JOB_(which)

#define INSERT_LATER_(id, from) \
	"INSERT INTO cano._timer (" JOB_COLUMNS ", due_at, waiting)" \
	" SELECT $2, $3, " id ", " id ", $4, $5, 1, $6, 0, $7, 's'" from
#define INSERT_LATER(which) INSERT_LATER_(which)

#define INSERT_DEADLINE_(id, from) \
	"INSERT INTO cano._timer (" JOB_COLUMNS ", due_at, waiting)" \
	" SELECT $2, $3, -" id ", " id ", 'd', '', 0, 0, 0, $4, 'd'" from
#define INSERT_DEADLINE(which) INSERT_DEADLINE_(which)

static CanoStatement insert_run[] = {
	{INSERT_RUN(ONE_RUN), 15, {INT8OID, JSONBOID, RUN_TYPES}},
	{INSERT_RUN(EACH_RUN), 15, {INT8ARRAYOID, JSONBARRAYOID, RUN_TYPES}}
};

static CanoStatement insert_entry[] = {
	{INSERT_ENTRY(ONE), 5, {INT8OID, ENTRY_TYPES}},
	{INSERT_ENTRY(EACH), 5, {INT8ARRAYOID, ENTRY_TYPES}}
};

static CanoStatement insert_job[] = {
	{INSERT_JOB(ONE), 6, {INT8OID, JOB_TYPES}},
	{INSERT_JOB(EACH), 6, {INT8ARRAYOID, JOB_TYPES}}
};

static CanoStatement insert_later[] = {
	{INSERT_LATER(ONE), 7, {INT8OID, JOB_TYPES, TIMESTAMPTZOID}},
	{INSERT_LATER(EACH), 7, {INT8ARRAYOID, JOB_TYPES, TIMESTAMPTZOID}}
};

static CanoStatement insert_deadline[] = {
	{INSERT_DEADLINE(ONE), 4, {INT8OID, OIDOID, INT4OID, TIMESTAMPTZOID}},
	{INSERT_DEADLINE(EACH), 4, {INT8ARRAYOID, OIDOID, INT4OID, TIMESTAMPTZOID}}
};

static CanoStatement take_key = {
	"INSERT INTO cano._key (owner, workflow, key, run)"
	" VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
	4, {OIDOID, TEXTOID, TEXTOID, INT8OID}
};

static CanoStatement key_holder = {
	"SELECT r.id, r.input = $4"
	" FROM cano._key k JOIN cano._run r ON r.id = k.run"
	" WHERE k.owner = $1 AND k.workflow = $2 AND k.key = $3",
	4, {OIDOID, TEXTOID, TEXTOID, JSONBOID}
};

static void insert(const CanoSubmission *submission, bool many, Datum ids,
				   Datum inputs);
static void insert_runs(const CanoSubmission *submission, bool many, Datum ids,
						Datum inputs);
static void insert_jobs(const CanoSubmission *submission, bool many, Datum ids);

bool
cano_store_take_key(const CanoSubmission *submission, Datum input, int64 *run)
{
	Datum		values[] = {
		ObjectIdGetDatum(submission->owner),
		CStringGetTextDatum(submission->definition->workflow),
		CStringGetTextDatum(submission->key),
		Int64GetDatum(*run)
	};
	bool		isnull;

	for (;;)
	{
		values[3] = Int64GetDatum(*run);
		if (cano_statement_run(&take_key, values, NULL, SPI_OK_INSERT) == 1)
			return true;

		values[3] = input;
		if (cano_statement_run(&key_holder, values, NULL, SPI_OK_SELECT) == 1)
			break;

		/* The run that had it has ended in between. */
		CHECK_FOR_INTERRUPTS();
	}

	*run = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
									   SPI_tuptable->tupdesc, 1, &isnull));
	if (!DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0],
									SPI_tuptable->tupdesc, 2, &isnull)))
		ereport(ERROR,
				(errcode(cano_errcode(CANO_CAT_INPUT_MISMATCH)),
				 errmsg("input_mismatch: key \"%s\" of workflow \"%s\" belongs to a run with a different input",
						submission->key, submission->definition->workflow),
				 errdetail("Run " INT64_FORMAT " is under way with that key.", *run),
				 errhint("Wait for that run to end, or use another key.")));
	return false;
}

void
cano_store_submit_as(const CanoSubmission *submission, Datum input, int64 run)
{
	insert(submission, false, Int64GetDatum(run), input);
}

void
cano_store_submit(const CanoSubmission *submission, int n, Datum *inputs,
				  int64 *runs)
{
	Datum	   *ids = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
	{
		runs[i] = cano_store_new_id();
		ids[i] = Int64GetDatum(runs[i]);
	}
	if (n > 0)
		insert(submission, true,
			   PointerGetDatum(construct_array(ids, n, INT8OID, 8,
											   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)),
			   PointerGetDatum(construct_array(inputs, n, JSONBOID, -1,
											   false, TYPALIGN_INT)));
}

static void
insert(const CanoSubmission *submission, bool many, Datum ids, Datum inputs)
{
	insert_runs(submission, many, ids, inputs);
	insert_jobs(submission, many, ids);
}

static void
insert_runs(const CanoSubmission *submission, bool many, Datum ids,
			Datum inputs)
{
	NameData	owner_name = {""};
	Datum		values[] = {
		ids,
		inputs,
		Int64GetDatum(submission->definition->id),
		Int64GetDatum(cano_origin()),
		ObjectIdGetDatum(submission->owner),
		NameGetDatum(&owner_name),
		Int32GetDatum(submission->priority),
		Int32GetDatum(submission->max_attempts),
		TimestampTzGetDatum(submission->run_at),
		TimestampTzGetDatum(submission->now),
		submission->key ? CStringGetTextDatum(submission->key) : (Datum) 0,
		PointerGetDatum(submission->tags),
		PointerGetDatum(submission->headers),
		Int64GetDatum(submission->parent),
		Int32GetDatum(submission->depth)
	};
	const char	nulls[] = {
		' ', ' ', ' ', ' ', ' ', ' ', ' ',
		submission->max_attempts == 0 ? 'n' : ' ',
		submission->has_run_at ? ' ' : 'n',
		' ',
		submission->key == NULL ? 'n' : ' ',
		submission->tags == NULL ? 'n' : ' ',
		submission->headers == NULL ? 'n' : ' ',
		submission->parent == 0 ? 'n' : ' ',
		' '
	};

	StaticAssertStmt(lengthof(nulls) == lengthof(values), "one for each");
	namestrcpy(&owner_name, GetUserNameFromId(submission->owner, false));
	(void) cano_statement_run(&insert_run[many], values, nulls, SPI_OK_INSERT);
}

/*
 * The first checkpoint, unless something is done before the first state or
 * the state leaves none; what makes the run due, now or later; and what ends
 * it.
 */
static void
insert_jobs(const CanoSubmission *submission, bool many, Datum ids)
{
	const CanoDefinition *definition = submission->definition;
	const CanoState *start = &definition->model.states[definition->model.start];
	const CanoFunctionName *task = definition->extra[definition->model.start].run;
	bool		prepares = definition->nbefore > 0;
	bool		leaves_row = cano_fsm_leaves_row(start) && !prepares;
	Datum		state = CStringGetTextDatum(start->name);
	Datum		owner = ObjectIdGetDatum(submission->owner);
	Datum		priority = Int32GetDatum(submission->priority);
	Datum		job[] = {
		ids, owner, priority,
		CharGetDatum((char) (prepares ? CANO_DUTY_PREPARE : CANO_DUTY_ENTER)),
		state, Int64GetDatum(leaves_row ? 0 : CANO_NO_SEQUENCE),
		TimestampTzGetDatum(submission->due_at)
	};

	if (leaves_row)
	{
		Datum		values[] = {
			ids, Int32GetDatum(definition->version),
			TimestampTzGetDatum(submission->now), state,
			task ? CStringGetTextDatum(task->name) : (Datum) 0
		};

		(void) cano_statement_run(&insert_entry[many], values,
								  task ? NULL : "    n", SPI_OK_INSERT);
	}
	(void) cano_statement_run(submission->due_at > submission->now ?
							  &insert_later[many] : &insert_job[many],
							  job, NULL, SPI_OK_INSERT);
	if (definition->timeout_ms > 0)
	{
		Datum		values[] = {
			ids, owner, priority,
			TimestampTzGetDatum(TimestampTzPlusMilliseconds(submission->due_at,
															definition->timeout_ms))
		};

		(void) cano_statement_run(&insert_deadline[many], values, NULL,
								  SPI_OK_INSERT);
	}
}
