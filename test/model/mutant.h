/*
 * mutant.h
 *	  Is this the model with that bug planted?  Each model numbers its own.
 */
#ifndef MUTANT
#define MUTANT	0
#endif
#define M(mutant)	(MUTANT == mutant)
