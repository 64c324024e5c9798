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

#include "access/xlog.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "error.h"
#include "fsm.h"
#include "statement.h"
#include "store.h"
#include "store_submit.h"

/* Parameters of "insert", by number - 1. */
enum
{
	P_IDS, P_INPUTS, P_DEFINITION, P_ORIGIN, P_OWNER, P_OWNER_NAME, P_PRIORITY,
	P_MAX_ATTEMPTS, P_RUN_AT, P_NOW, P_KEY, P_TAGS, P_HEADERS, P_STATE, P_TASK,
	P_VERSION, P_LEAVES_ROW, P_DUE_AT, P_LATER, P_PARENT, P_DEPTH, P_DEADLINE,
	P_DUTY, P_COUNT
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

static CanoStatement insert = {
	"WITH new AS ("
	"	SELECT u.id, u.input"
	"	FROM unnest($1, $2) u (id, input)"
	"), run AS ("
	"	INSERT INTO cano._run (id, definition, origin, owner, owner_name,"
	"		priority, max_attempts, run_at, submitted_at, status, cleared, dead,"
	"		key, tags, headers, parent, depth, input)"
	"	SELECT n.id, $3, $4, $5, $6, $7, $8, $9, $10, 'active', false, false,"
	"		$11, $12, $13, $20, $21, n.input FROM new n"
	"), entry AS ("
	"	INSERT INTO cano._checkpoint (run, sequence, kind, version, job,"
	"		recorded_at, state, task)"
	"	SELECT n.id, 0, 'e', $16, n.id, $10, $14, $15 FROM new n WHERE $17"
	"), job AS ("
	"	INSERT INTO cano._job (owner, priority, id, run, duty, state,"
	"		attempt, sequence, errors)"
	"	SELECT $5, $7, n.id, n.id, $23, $14, 1,"
	"		CASE WHEN $17 THEN 0 ELSE -1 END, 0 FROM new n WHERE NOT $19"
	")"
	" INSERT INTO cano._timer (owner, priority, id, run, duty, state,"
	"	attempt, sequence, errors, due_at, waiting)"
	" SELECT $5, $7, n.id, n.id, $23, $14, 1,"
	"	CASE WHEN $17 THEN 0 ELSE -1 END, 0, $18, 's' FROM new n WHERE $19"
	" UNION ALL"
	" SELECT $5, $7, -n.id, n.id, 'd', '', 0, 0, 0, $22, 'd'"
	" FROM new n WHERE $22 IS NOT NULL",
	P_COUNT, {INT8ARRAYOID, JSONBARRAYOID, INT8OID, INT8OID, OIDOID, NAMEOID,
		INT4OID, INT4OID, TIMESTAMPTZOID, TIMESTAMPTZOID, TEXTOID, TEXTARRAYOID,
		JSONBOID, TEXTOID, TEXTOID, INT4OID, BOOLOID, TIMESTAMPTZOID, BOOLOID,
	INT8OID, INT4OID, TIMESTAMPTZOID, CHAROID}
};

static void insert_runs(const CanoSubmission *submission, int n, Datum *ids,
						Datum *inputs);

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
	Datum		id = Int64GetDatum(run);

	insert_runs(submission, 1, &id, &input);
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
		insert_runs(submission, n, ids, inputs);
}

static void
insert_runs(const CanoSubmission *submission, int n, Datum *ids, Datum *inputs)
{
	const CanoDefinition *definition = submission->definition;
	const CanoState *start = &definition->model.states[definition->model.start];
	const CanoFunctionName *task = definition->extra[definition->model.start].run;
	bool		prepares = definition->nbefore > 0;
	Datum		values[P_COUNT];
	char		nulls[P_COUNT];

	memset(nulls, ' ', sizeof(nulls));
	values[P_IDS] = PointerGetDatum(construct_array(ids, n, INT8OID, 8,
													FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[P_INPUTS] = PointerGetDatum(construct_array(inputs, n, JSONBOID, -1,
													   false, TYPALIGN_INT));
	values[P_DEFINITION] = Int64GetDatum(definition->id);
	values[P_ORIGIN] = Int64GetDatum((int64) GetSystemIdentifier());
	values[P_OWNER] = ObjectIdGetDatum(submission->owner);
	values[P_OWNER_NAME] = DirectFunctionCall1(namein,
											   CStringGetDatum(GetUserNameFromId(submission->owner, false)));
	values[P_PRIORITY] = Int32GetDatum(submission->priority);
	values[P_MAX_ATTEMPTS] = Int32GetDatum(submission->max_attempts);
	if (submission->max_attempts == 0)
		nulls[P_MAX_ATTEMPTS] = 'n';
	values[P_RUN_AT] = TimestampTzGetDatum(submission->run_at);
	if (!submission->has_run_at)
		nulls[P_RUN_AT] = 'n';
	values[P_NOW] = TimestampTzGetDatum(submission->now);
	values[P_KEY] = submission->key ? CStringGetTextDatum(submission->key) : (Datum) 0;
	if (submission->key == NULL)
		nulls[P_KEY] = 'n';
	values[P_TAGS] = PointerGetDatum(submission->tags);
	if (submission->tags == NULL)
		nulls[P_TAGS] = 'n';
	values[P_HEADERS] = PointerGetDatum(submission->headers);
	if (submission->headers == NULL)
		nulls[P_HEADERS] = 'n';
	values[P_STATE] = CStringGetTextDatum(start->name);
	values[P_TASK] = task ? CStringGetTextDatum(task->name) : (Datum) 0;
	if (task == NULL)
		nulls[P_TASK] = 'n';
	values[P_VERSION] = Int32GetDatum(definition->version);
	values[P_LEAVES_ROW] = BoolGetDatum(cano_fsm_leaves_row(start) && !prepares);
	values[P_DUTY] = CharGetDatum((char) (prepares ? CANO_DUTY_PREPARE :
										  CANO_DUTY_ENTER));
	values[P_DUE_AT] = TimestampTzGetDatum(submission->due_at);
	values[P_LATER] = BoolGetDatum(submission->due_at > submission->now);
	values[P_PARENT] = Int64GetDatum(submission->parent);
	if (submission->parent == 0)
		nulls[P_PARENT] = 'n';
	values[P_DEPTH] = Int32GetDatum(submission->depth);
	values[P_DEADLINE] = TimestampTzGetDatum(TimestampTzPlusMilliseconds(submission->due_at,
																		 definition->timeout_ms));
	if (definition->timeout_ms == 0)
		nulls[P_DEADLINE] = 'n';
	(void) cano_statement_run(&insert, values, nulls, SPI_OK_INSERT);
}
