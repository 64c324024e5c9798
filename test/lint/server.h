/*
 * server.h
 *	  What cppcheck has to know of the server's headers, which it does not read.
 */
#define PG_VERSION_NUM 180000
#define INT64_FORMAT "%ld"

#define foreach(cell, list) \
	for (cell = list_head(list); cell != NULL; cell = lnext(list, cell))
#define pg_attribute_printf(format, arguments)
#define pg_noreturn __attribute__((noreturn))

#define PG_TRY() do { if (setjmp()) {
#define PG_CATCH() } else {
#define PG_FINALLY() }{
#define PG_END_TRY() }} while (0)
