/*-------------------------------------------------------------------------
 *
 * core.c
 *	  The random tests of the decision core, led by libFuzzer.
 *
 * CASES names one of them, test/unit/random_*.c: it compares the core with
 * the rules of the contract, written down a second time.  The numbers that it
 * would draw are taken from the input, so that what is tried follows the
 * paths through the core.
 *
 * Build: clang -fsanitize=fuzzer,address,undefined
 *		  '-DCASES="../unit/random_models.c"' core.c
 *
 *-------------------------------------------------------------------------
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In the place of test/unit/random.h. */
#define RANDOM_H

static const uint8_t *input;
static size_t left;

/* A number from 0 to n - 1; 0 when the input is used up. */
static inline uint32_t
below(uint32_t n)
{
	uint32_t	number = 0;

	for (uint32_t reach = 1; reach < n && left > 0; reach *= 256)
	{
		number = number << 8 | *input++;
		left--;
	}
	return number % n;
}

static inline bool
chance(int percent)
{
	return below(100) < (uint32_t) percent;
}

static inline int
try_cases(int argc, char **argv, long cases, bool (*try) (void),
		  const char *claim)
{
	if (try())
		return 0;
	printf("FINDING: not so: %s\n", claim);
	fflush(stdout);
	abort();
}

#define main run_case
#include CASES
#undef main

int			LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	input = data;
	left = size;
	(void) run_case(0, NULL);
	return 0;
}
