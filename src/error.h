/*-------------------------------------------------------------------------
 *
 * error.h
 *	  Categories, their SQLSTATEs, and errors as rows.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_ERROR_H
#define CANO_ERROR_H

#include "utils/jsonb.h"

#include "model.h"

/* An error as it is recorded.  Strings are never longer than a few kB. */
typedef struct CanoError
{
	CanoCategory category;
	char		sqlstate[6];
	const char *message;
	const char *detail;			/* this and the next two may be NULL */
	const char *hint;
	const char *context;
} CanoError;

/* A copy of a text, cut to the size that is recorded. */
extern const char *cano_error_text(const char *text);

extern const char *cano_category_name(CanoCategory category);

/* Lost against another session: nothing is wrong with who raised it. */
extern bool cano_error_is_conflict(const char *sqlstate);

/* For errcode(). */
extern int	cano_errcode(CanoCategory category);

/* The category of a SQLSTATE of ours; task_execution for any other. */
extern CanoCategory cano_error_category(int sqlerrcode);

/* The category of that name; task_execution for any other. */
extern CanoCategory cano_category_by_name(const char *name);

/* Copy a caught error into the current memory context, cut to size. */
extern CanoError *cano_error_copy(const ErrorData *edata);

/* An error that cano itself makes up, in the current memory context. */
extern CanoError *cano_error_make(CanoCategory category, const char *fmt, ...)
			pg_attribute_printf(2, 3);

/*
 * The "error" of a run.  "state" and "task" may be NULL.
 */
extern Jsonb *cano_error_jsonb(const CanoError *error, const char *state,
							   const char *task, int attempts);

/* Back from there. */
extern CanoError *cano_error_from_jsonb(const Jsonb *json);

#endif							/* CANO_ERROR_H */
