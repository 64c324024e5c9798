/*-------------------------------------------------------------------------
 *
 * json.h
 *	  Small jsonb objects, built and taken apart.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_JSON_H
#define CANO_JSON_H

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "compat.h"

/* An object under construction. */
typedef struct CanoJson
{
	JsonbInState state;
} CanoJson;

extern void cano_json_begin(CanoJson *json);
extern void cano_json_text(CanoJson *json, const char *key, const char *value); /* NULL: null */
extern void cano_json_int(CanoJson *json, const char *key, int64 value);
extern void cano_json_value(CanoJson *json, const char *key, const Jsonb *value);	/* NULL: null */
extern Jsonb *cano_json_end(CanoJson *json);

/* A copy in the current memory context, detoasted; NULL for SQL null. */
extern Jsonb *cano_json_copy(Datum datum, bool isnull);

/* data || other: keys of the second win.  Both must be objects. */
extern Jsonb *cano_json_merge(const Jsonb *data, const Jsonb *other);

/* data with one key set. */
extern Jsonb *cano_json_set(const Jsonb *data, const char *key, const Jsonb *value);

/* The elements of an array (NULL: none) and then those of a list. */
extern Jsonb *cano_json_array(const Jsonb *array, const List *more);

/* A copy of one of an array's elements. */
extern Jsonb *cano_json_element(const Jsonb *array, int index);

/* Raise an error if the value, which is called so, is larger than allowed. */
extern void cano_json_refuse_large(const Jsonb *value, const char *what);

/* The text under a key, or NULL where it is absent or no string. */
extern char *cano_json_get_text(const Jsonb *object, const char *key);

/* The whole number under a key; the other where there is none. */
extern int64 cano_json_get_int(const Jsonb *object, const char *key,
							   int64 otherwise);

#endif							/* CANO_JSON_H */
