/*-------------------------------------------------------------------------
 *
 * preload.c
 *	  For LD_PRELOAD of a server in a test: a disk that is full and a clock
 *	  that jumps, when the test says so.
 *
 * CANO_TEST_WORLD names a directory.  While a file "full" is there, no file
 * of the server whose path has its content (such as "/base/") can grow.  The
 * content of "clock" is how many seconds the wall clock is ahead.
 *
 *-------------------------------------------------------------------------
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#undef pwrite
#undef pwritev
#undef posix_fallocate

/* The content of a file of that directory; false if it is not there. */
static int
said(const char *name, char *content, size_t size)
{
	const char *world = getenv("CANO_TEST_WORLD");
	char		path[1024];
	ssize_t		length;
	int			fd;

	if (world == NULL)
		return 0;
	snprintf(path, sizeof(path), "%s/%s", world, name);
	if ((fd = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return 0;
	length = read(fd, content, size - 1);
	close(fd);
	content[length > 0 ? length : 0] = '\0';
	return length > 0;
}

static int
is_full(int fd, off_t end)
{
	int			before = errno;
	char		where[64];
	char		link[64];
	char		path[1024];
	ssize_t		length;
	struct stat status;
	int			full = 0;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (said("full", where, sizeof(where)) &&
		(length = readlink(link, path, sizeof(path) - 1)) > 0)
	{
		path[length] = '\0';
		full = strstr(path, where) != NULL && fstat(fd, &status) == 0 &&
			end > status.st_size;
	}
	errno = full ? ENOSPC : before;
	return full;
}

#define REAL(name)	((__typeof__(&name)) dlsym(RTLD_NEXT, #name))

static off_t
size_of(const struct iovec *parts, int n)
{
	off_t		size = 0;

	for (int i = 0; i < n; i++)
		size += parts[i].iov_len;
	return size;
}

/* Each has a twin for large files, which is the same. */
#define WRITER(name) \
ssize_t name(int fd, const void *data, size_t size, off_t at) \
{ \
	return is_full(fd, at + size) ? -1 : REAL(name)(fd, data, size, at); \
}
#define GATHERER(name) \
ssize_t name(int fd, const struct iovec *parts, int n, off_t at) \
{ \
	return is_full(fd, at + size_of(parts, n)) ? -1 : REAL(name)(fd, parts, n, at); \
}
#define ALLOCATOR(name) \
int name(int fd, off_t at, off_t size) \
{ \
	return is_full(fd, at + size) ? ENOSPC : REAL(name)(fd, at, size); \
}

WRITER(pwrite)
WRITER(pwrite64)
GATHERER(pwritev)
GATHERER(pwritev64)
ALLOCATOR(posix_fallocate)
ALLOCATOR(posix_fallocate64)

int
gettimeofday(struct timeval *now, void *unused)
{
	struct timespec real;
	int			before = errno;
	char		ahead[64];

	(void) unused;
	clock_gettime(CLOCK_REALTIME, &real);
	now->tv_sec = real.tv_sec;
	now->tv_usec = real.tv_nsec / 1000;
	if (said("clock", ahead, sizeof(ahead)))
		now->tv_sec += atol(ahead);
	errno = before;
	return 0;
}
