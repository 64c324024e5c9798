/*-------------------------------------------------------------------------
 *
 * fuzz.c
 *	  libFuzzer inside a server that stands alone.
 *
 * Built into a copy of cano by run-fuzz.sh and called there by
 *
 *		CALL fuzz('definition', '{-runs=1000}')
 *
 * Every input is tried in a subtransaction that is rolled back and in memory
 * that is reset.  Findings are errors nobody expects, what sanitizers report,
 * what a target refuses, and memory that is not given back.  libFuzzer ends
 * the process.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "common/pg_prng.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "fuzz.h"

/* Executions between two looks at the memory, and how much may be lost. */
#define LOOK_EVERY		20000
#define MAY_GROW		(2 * 1024 * 1024)

/* Names that do not exist are remembered in the server's caches, too. */
#define FORGET_BYTES	(64 * 1024 * 1024)

PG_FUNCTION_INFO_V1(cano_fuzz);

extern int	LLVMFuzzerRunDriver(int *argc, char ***argv,
								int (*try) (const uint8_t *data, size_t size));

static const FuzzTarget *find_target(const char *name);
static int	try_input(const uint8_t *data, size_t size);
static void try_text(const char *data, size_t size);
static void judge_error(const ErrorData *edata);
static void look_at_memory(void);
static Size lasting_memory(void);
static void say_how_many(int code, Datum arg);

static const FuzzTarget *target;
static MemoryContext memory;	/* of one execution */
static uint64 executions = 0;
static uint64 accepted = 0;
static Size allowed = 0;		/* bytes that may be in use; 0: not known yet */

/* libFuzzer looks at these as it does at the counters of code. */
static uint8 seen[4096] __attribute__((section("__libfuzzer_extra_counters"), used));

/* What is expected at the moment. */
static const char *expected_stage = "";
static const char *expected = "";

/*
 * fuzz(target text, arguments text[])
 */
Datum
cano_fuzz(PG_FUNCTION_ARGS)
{
	MemoryContext oldcontext = MemoryContextSwitchTo(TopMemoryContext);
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	Datum	   *elements;
	int			argc;
	char	  **argv;

	deconstruct_array(PG_GETARG_ARRAYTYPE_P(1), TEXTOID, -1, false,
					  TYPALIGN_INT, &elements, NULL, &argc);
	argv = palloc0((argc + 2) * sizeof(char *));
	argv[0] = name;
	for (int i = 0; i < argc; i++)
		argv[i + 1] = TextDatumGetCString(elements[i]);
	argc++;
	MemoryContextSwitchTo(oldcontext);
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");

	target = find_target(name);
	memory = AllocSetContextCreate(TopMemoryContext, "fuzz",
								   ALLOCSET_DEFAULT_SIZES);
	if (target->begin != NULL)
		target->begin();
	fuzz_json_use(target->grammar);
	on_proc_exit(say_how_many, (Datum) 0);

	/* libFuzzer tells a hang by it, but only where nobody else has it. */
	signal(SIGALRM, SIG_DFL);
	LLVMFuzzerRunDriver(&argc, &argv, try_input);
	PG_RETURN_VOID();
}

static const FuzzTarget *
find_target(const char *name)
{
	static const FuzzTarget *const targets[] = {&fuzz_definition, &fuzz_outcome};

	for (int i = 0; i < lengthof(targets); i++)
		if (strcmp(targets[i]->name, name) == 0)
			return targets[i];
	elog(ERROR, "there is no target \"%s\"", name);
}

static int
try_input(const uint8_t *data, size_t size)
{
	MemoryContext oldcontext = CurrentMemoryContext;
	ResourceOwner oldowner = CurrentResourceOwner;

	/* A client could not send it. */
	if (!pg_verify_mbstr(PG_UTF8, (const char *) data, size, true))
		return 0;

	/* The same input must always do the same. */
	pg_prng_seed(&pg_global_prng_state,
				 hash_bytes_extended(data, size, 0));

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(memory);
	PG_TRY();
	{
		try_text((const char *) data, size);
	}
	PG_CATCH();
	{
		ErrorData  *edata;

		MemoryContextSwitchTo(memory);
		edata = CopyErrorData();
		FlushErrorState();
		judge_error(edata);
	}
	PG_END_TRY();
	RollbackAndReleaseCurrentSubTransaction();
	MemoryContextSwitchTo(oldcontext);
	CurrentResourceOwner = oldowner;
	MemoryContextReset(memory);

	if (++executions % LOOK_EVERY == 0)
		look_at_memory();
	return 0;
}

static void
try_text(const char *data, size_t size)
{
	char	   *text = palloc(size + 1);

	memcpy(text, data, size);
	text[size] = '\0';
	fuzz_expect("a target", "");
	target->try(text);
}

void
fuzz_expect(const char *stage, const char *sqlstates)
{
	expected_stage = stage;
	expected = sqlstates;
}

void
fuzz_seen(uint32 what)
{
	seen[murmurhash32(what) % lengthof(seen)] = 1;
}

void
fuzz_accepted(void)
{
	accepted++;
}

static void
judge_error(const ErrorData *edata)
{
	const char *sqlstate = unpack_sql_state(edata->sqlerrcode);

	if (!fuzz_is_expected(sqlstate, expected))
		fuzz_found("%s raised %s: %s (%s:%d)", expected_stage, sqlstate,
				   edata->message, edata->filename, edata->lineno);
	if (edata->message == NULL ||
		!pg_verifymbstr(edata->message, strlen(edata->message), true))
		fuzz_found("the message of an error is no text");
}

bool
fuzz_is_expected(const char *sqlstate, const char *sqlstates)
{
	while (*sqlstates != '\0')
	{
		int			length = strcspn(sqlstates, " ");

		if (strncmp(sqlstate, sqlstates, length) == 0)
			return true;
		sqlstates += length;
		sqlstates += strspn(sqlstates, " ");
	}
	return false;
}

void
fuzz_found(const char *fmt, ...)
{
	va_list		args;

	fprintf(stderr, "FINDING of target %s: ", target->name);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\n");
	fflush(stderr);
	abort();
}

/*
 * What was in use the first time is what is needed.  The server keeps books of
 * a transaction until its end.
 */
static void
look_at_memory(void)
{
	Size		used;

	SPI_commit();
	used = lasting_memory();
	if (allowed == 0)
		allowed = used + MAY_GROW;
	if (used > allowed)
	{
		MemoryContextStats(TopMemoryContext);
		fuzz_found("%zu kB are in use after " UINT64_FORMAT " executions",
				   used / 1024, executions);
	}
	if (MemoryContextMemAllocated(CacheMemoryContext, true) > FORGET_BYTES)
		InvalidateSystemCaches();
}

/*
 * Without the server's own caches: those grow with the names asked for.
 */
static Size
lasting_memory(void)
{
	return MemoryContextMemAllocated(TopMemoryContext, true) -
		MemoryContextMemAllocated(CacheMemoryContext, true);
}

static void
say_how_many(int code, Datum arg)
{
	fprintf(stderr, "fuzz %s: " UINT64_FORMAT " executions, " UINT64_FORMAT " accepted\n",
			target->name, executions, accepted);
}

void
fuzz_check_jsonb(const char *what, const Jsonb *value)
{
	char	   *text;
	Jsonb	   *again;

	if (VARSIZE(value) < VARHDRSZ + sizeof(JsonbContainer))
		fuzz_found("%s is no jsonb", what);
	text = JsonbToCString(NULL, unconstify(JsonbContainer *, &value->root),
						  VARSIZE(value));
	again = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
	if (compareJsonbContainers(unconstify(JsonbContainer *, &value->root),
							   &again->root) != 0)
		fuzz_found("%s is not what it prints: %s", what, text);
}

void
fuzz_check_equal(const char *what, const Jsonb *is, const Jsonb *should_be)
{
	char	   *one;
	char	   *other;

	if (VARSIZE(is) == VARSIZE(should_be) &&
		memcmp(is, should_be, VARSIZE(is)) == 0)
		return;
	one = JsonbToCString(NULL, unconstify(JsonbContainer *, &is->root),
						 VARSIZE(is));
	other = JsonbToCString(NULL, unconstify(JsonbContainer *, &should_be->root),
						   VARSIZE(should_be));
	if (strcmp(one, other) != 0)
		fuzz_found("%s is\n%s\nand should be\n%s", what, one, other);
}
