/*-------------------------------------------------------------------------
 *
 * document.h
 *	  From what a user wrote to a workflow's document: checked, canonical.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_DOCUMENT_H
#define CANO_DOCUMENT_H

#include "utils/jsonb.h"

typedef struct CanoDocument
{
	Jsonb	   *document;		/* {"start", "states", "options"} */
	Jsonb	   *functions;		/* name in the document -> {"signature",
								 * "outcome"} */
} CanoDocument;

/*
 * Check the parts of a workflow, or the one whole document that stands in
 * their place, with the rights of the current user.  Raises CN001.  The
 * result is in the current memory context.
 */
extern void cano_document_parse(const char *workflow, Jsonb **parts,
								int nparts, CanoDocument *result);

#endif							/* CANO_DOCUMENT_H */
