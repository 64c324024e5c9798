/*-------------------------------------------------------------------------
 *
 * value.h
 *	  Single values of a definition: checked, made canonical in place.
 *
 * "place" says where in the definition a value stands, for messages:
 * state "charge", retry.  All of these raise CN001.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_VALUE_H
#define CANO_VALUE_H

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "compat.h"
#include "rules.h"

extern void cano_value_name(const char *place, const char *key,
							JsonbValue *value);
extern void cano_value_word(const char *place, const CanoRule *rule,
							JsonbValue *value);
extern void cano_value_number(const char *place, const CanoRule *rule,
							  JsonbValue *value);
extern void cano_value_interval(const char *place, const CanoRule *rule,
								JsonbValue *value);
extern void cano_value_instant(const char *place, const CanoRule *rule,
							   JsonbValue *value);
extern void cano_value_sqlstates(const char *place, const CanoRule *rule,
								 JsonbValue *value);

/* Is this canonical value what its absence means as well? */
extern bool cano_value_is_default(const CanoRule *rule,
								  const JsonbValue *value);

/* Is this a name of 1 to 1000 characters? */
extern bool cano_value_is_name(const char *name);

/* As found by an iterator that skips nested values. */
extern bool cano_value_is_object(const JsonbValue *value);
extern bool cano_value_is_array(const JsonbValue *value);
extern char *cano_value_string(const JsonbValue *value);
extern void cano_value_set_string(JsonbValue *value, const char *string);

/* Add the name of a checked resource to those before it, or refuse it. */
extern List *cano_value_add_name(const char *place, List *names,
								 const JsonbValue *resource);

/* "hint" may be NULL. */
pg_noreturn extern void cano_value_refuse(const char *hint, const char *place,
										  const char *fmt, ...)
			pg_attribute_printf(3, 4);
pg_noreturn extern void cano_value_refuse_type(const char *place,
											   const char *key,
											   const char *expected,
											   JsonbValue *value);

#endif							/* CANO_VALUE_H */
