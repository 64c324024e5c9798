/*-------------------------------------------------------------------------
 *
 * random.h
 *	  Random numbers that are the same for the same seed everywhere, and the
 *	  loop around a test of random cases.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RANDOM_H
#define RANDOM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t seed;

/* A number from 0 to n - 1. */
static inline uint32_t
below(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t) (seed >> 11) % n;
}

static inline bool
chance(int percent)
{
	return below(100) < (uint32_t) percent;
}

/*
 * Try so many cases, the arguments "[cases [seed]]" or the default.  "try"
 * makes a case, checks it and, if it is bad, tells it in lines of comment.
 */
static inline int
try_cases(int argc, char **argv, long cases, bool (*try) (void),
		  const char *claim)
{
	int			failures = 0;

	if (argc > 1)
		cases = strtol(argv[1], NULL, 10);
	seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 20240229;
	if (seed == 0)
		seed = 1;
	printf("1..1\n");
	for (long i = 0; i < cases && failures < 5; i++)
		if (!try())
		{
			printf("# in case %ld\n", i);
			failures++;
		}
	printf("%s 1 - %ld %s\n", failures ? "not ok" : "ok", cases, claim);
	return failures ? 1 : 0;
}

#endif							/* RANDOM_H */
