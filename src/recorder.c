/*-------------------------------------------------------------------------
 *
 * recorder.c
 *	  The flight recorder: which job each slot was running when its process,
 *	  or the whole server, went down.
 *
 * When a process crashes, the postmaster sends SIGQUIT to the others.  Their
 * records then say COLLATERAL; the culprit's still says RUNNING, because it
 * died without a word.  A record counts only if it was written under the same
 * boot of the operating system: what a power failure interrupted is innocent.
 * Records of the present shared memory belong to living processes.
 *
 * The file serves a count only.  Whatever is wrong with it is logged once,
 * and the engine goes on without.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "miscadmin.h"
#include "storage/fd.h"
#include "storage/pmsignal.h"

#include "recorder.h"
#include "scan.h"
#include "shared.h"

#define FLIGHT_FILE		"cano.flight"
#define FLIGHT_MAGIC	UINT64CONST(0x746867696c66636e)
#define FLIGHT_VERSION	1

enum
{
	FLIGHT_IDLE,
	FLIGHT_RUNNING,
	FLIGHT_COLLATERAL,			/* somebody else crashed the server */
	FLIGHT_ORDERLY				/* somebody else ended this process */
};

typedef union FlightHeader
{
	struct
	{
		uint64		magic;
		uint32		version;
		uint32		records;
	};
	char		pad[128];
} FlightHeader;

/* Written by the process that has the slot of the same index. */
typedef union FlightRecord
{
	struct
	{
		volatile uint32 phase;	/* written last, not in the check sum */
		Oid			database;
		Oid			role;
		uint32		slot;
		int64		job;
		int64		run;
		uint64		boot_id;
		int64		incarnation;	/* of the shared memory */
		uint64		checksum;
	};
	char		pad[128];
} FlightRecord;

#define FLIGHT_SIZE		(sizeof(FlightHeader) + CANO_SLOTS * sizeof(FlightRecord))

typedef struct Watch
{
	int			signo;
	struct sigaction previous;
} Watch;

static FlightHeader *map_file(bool repair);
static bool fill_file(int fd, off_t from);
static void complain(const char *what);
static FlightRecord *records_of(FlightHeader *header);
static uint64 checksum(const FlightRecord *flight);
static void watch_signal(Watch *watch, int signo);
static void forward_signal(const Watch *watch, siginfo_t *info, void *context);
static void signal_arrived(int signo, siginfo_t *info, void *context);

/* Our record while a slot is attached, and the mapping that it is in. */
static FlightRecord *record = NULL;
static FlightHeader *mapping = NULL;

static Watch quit = {.signo = 0};
static Watch term = {.signo = 0};
static volatile sig_atomic_t terminated_itself = false;
static volatile sig_atomic_t terminated_by_other = false;

void
cano_recorder_begin(int64 job, int64 run)
{
	if (record == NULL)
		return;
	record->phase = FLIGHT_IDLE;
	pg_compiler_barrier();
	record->job = job;
	record->run = run;
	record->checksum = checksum(record);
	pg_compiler_barrier();
	record->phase = FLIGHT_RUNNING;
}

void
cano_recorder_end(void)
{
	if (record)
		record->phase = FLIGHT_IDLE;
}

void
cano_recorder_attach(int slot)
{
	if (mapping == NULL)
		mapping = map_file(false);
	if (mapping == NULL)
		return;

	terminated_itself = terminated_by_other = false;
	record = &records_of(mapping)[slot];
	record->phase = FLIGHT_IDLE;
	pg_compiler_barrier();
	record->database = MyDatabaseId;
	record->role = cano_shared->slots[slot].role;
	record->slot = slot;
	record->boot_id = cano_shared->boot_id;
	record->incarnation = cano_shared->incarnation;
	watch_signal(&quit, SIGQUIT);
	watch_signal(&term, SIGTERM);
}

void
cano_recorder_detach(void)
{
	if (record == NULL)
		return;
	record->phase = FLIGHT_IDLE;
	record = NULL;
	sigaction(SIGQUIT, &quit.previous, NULL);
	sigaction(SIGTERM, &term.previous, NULL);
}

bool
cano_recorder_exit(void)
{
	bool		orderly;

	if (record == NULL)
		return false;
	orderly = (terminated_by_other && !terminated_itself) ||
		ClientConnectionLost || !PostmasterIsAlive();
	if (record->phase == FLIGHT_RUNNING)
	{
		record->phase = orderly ? FLIGHT_ORDERLY : FLIGHT_IDLE;
		if (!orderly)
		{
			cano_scan_mark(record->database, record->job, record->run);
			cano_scan_request(record->database);
		}
	}
	cano_recorder_detach();
	return orderly;
}

void
cano_recorder_read(void)
{
	FlightHeader *header = map_file(true);
	FlightRecord *flights;

	if (header == NULL)
		return;
	flights = records_of(header);
	for (int i = 0; i < CANO_SLOTS; i++)
	{
		FlightRecord *flight = &flights[i];

		if (flight->incarnation == cano_shared->incarnation)
			continue;
		if (flight->phase == FLIGHT_RUNNING &&
			cano_shared->boot_id != 0 &&
			flight->boot_id == cano_shared->boot_id &&
			flight->checksum == checksum(flight))
			cano_scan_mark(flight->database, flight->job, flight->run);
		memset(flight, 0, sizeof(FlightRecord));
	}
	munmap(header, FLIGHT_SIZE);
}

/*
 * Map the file, made if it is not there.  A file that is not ours is emptied
 * where "repair" says that no other process can be using it.
 */
static FlightHeader *
map_file(bool repair)
{
	FlightHeader *header = MAP_FAILED;
	struct stat status;
	int			fd;

	fd = BasicOpenFile(FLIGHT_FILE, O_RDWR | O_CREAT | PG_BINARY);
	if (fd < 0)
	{
		complain("open");
		return NULL;
	}
	if (fstat(fd, &status) == 0 &&
		(status.st_size >= FLIGHT_SIZE || fill_file(fd, status.st_size)))
		header = mmap(NULL, FLIGHT_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
					  fd, 0);
	if (header == MAP_FAILED)
		complain("map");
	close(fd);
	if (header == MAP_FAILED)
		return NULL;

	if (header->magic == FLIGHT_MAGIC && header->version == FLIGHT_VERSION &&
		header->records == CANO_SLOTS)
		return header;
	if (header->magic != 0)
	{
		complain(NULL);
		if (!repair)
		{
			munmap(header, FLIGHT_SIZE);
			return NULL;
		}
		memset(header, 0, FLIGHT_SIZE);
	}
	header->version = FLIGHT_VERSION;
	header->records = CANO_SLOTS;
	header->magic = FLIGHT_MAGIC;
	return header;
}

/*
 * Write zeros, not a hole: a full disk must fail here and not with SIGBUS at
 * some later store.
 */
static bool
fill_file(int fd, off_t from)
{
	char		zeros[1024] = {0};

	while (from < FLIGHT_SIZE)
	{
		size_t		rest = Min(FLIGHT_SIZE - from, sizeof(zeros));
		ssize_t		written = pwrite(fd, zeros, rest, from);

		if (written <= 0)
		{
			if (written == 0)
				errno = ENOSPC;
			return false;
		}
		from += written;
	}
	return true;
}

/* Once: what could not be done, or NULL if the content is to blame. */
static void
complain(const char *what)
{
	int			error = errno;
	bool		warned;

	LWLockAcquire(cano_shared->lock, LW_EXCLUSIVE);
	warned = cano_shared->recorder_warned;
	cano_shared->recorder_warned = true;
	LWLockRelease(cano_shared->lock);
	if (warned)
		return;
	errno = error;
	if (what == NULL)
		ereport(LOG,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("flight recorder \"%s\" is not valid and cannot be used",
						FLIGHT_FILE),
				 errdetail("Jobs that crashed the server may go uncounted.")));
	else
		ereport(LOG,
				(errcode_for_file_access(),
				 errmsg("could not %s the flight recorder \"%s\": %m",
						what, FLIGHT_FILE),
				 errdetail("Jobs that crash the server may go uncounted.")));
}

static FlightRecord *
records_of(FlightHeader *header)
{
	return (FlightRecord *) (header + 1);
}

static uint64
checksum(const FlightRecord *flight)
{
	uint64		words[] = {
		((uint64) flight->database << 32) | flight->role,
		flight->slot,
		flight->job,
		flight->run,
		flight->boot_id,
		flight->incarnation
	};
	uint64		sum = FLIGHT_MAGIC;

	for (int i = 0; i < lengthof(words); i++)
		sum = (sum ^ words[i]) * UINT64CONST(0x100000001b3) + (sum >> 29);
	return sum;
}

/* ---- Signals ---- */

/*
 * Not pqsignal(): we must see who sent the signal, and put back what was
 * there before.
 */
static void
watch_signal(Watch *watch, int signo)
{
	struct sigaction action = {0};

	watch->signo = signo;
	action.sa_sigaction = signal_arrived;
	action.sa_flags = SA_RESTART | SA_SIGINFO;
	sigemptyset(&action.sa_mask);
	sigaction(signo, &action, &watch->previous);
}

static void
forward_signal(const Watch *watch, siginfo_t *info, void *context)
{
	if (watch->previous.sa_flags & SA_SIGINFO)
		watch->previous.sa_sigaction(watch->signo, info, context);
	else if (watch->previous.sa_handler != SIG_IGN &&
			 watch->previous.sa_handler != SIG_DFL)
		watch->previous.sa_handler(watch->signo);
}

static void
signal_arrived(int signo, siginfo_t *info, void *context)
{
	int			save_errno = errno;

	if (signo == SIGQUIT)
	{
		/* The stock handler that follows does not return. */
		if (record && record->phase == FLIGHT_RUNNING)
			record->phase = FLIGHT_COLLATERAL;
		forward_signal(&quit, info, context);
		_exit(2);
	}
	if (info->si_pid == MyProcPid)
		terminated_itself = true;
	else
		terminated_by_other = true;
	forward_signal(&term, info, context);
	errno = save_errno;
}
