/*-------------------------------------------------------------------------
 *
 * compile.h
 *	  From a stored document to what the engine runs.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_COMPILE_H
#define CANO_COMPILE_H

#include "definition.h"

/*
 * The result and all it points to is in the current memory context.  The
 * document is one that cano_document_parse made.
 */
extern CanoDefinition *cano_compile(int64 id, const char *workflow,
									int version, Jsonb *document,
									Jsonb *functions);

#endif							/* CANO_COMPILE_H */
