/*-------------------------------------------------------------------------
 *
 * txn.h
 *	  How a batch begins, commits and aborts: as a worker or in a session.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_TXN_H
#define CANO_TXN_H

/*
 * A worker starts and ends transactions of its own.  A session (CALL
 * cano.work) is inside one, connected to SPI non-atomically, and ends it
 * through SPI; there a batch is a subtransaction, so that an error leaves
 * SPI's stack as it was.
 */
extern void cano_txn_set_session(bool session);
extern bool cano_txn_is_session(void);

/*
 * Begin a transaction that keeps books whatever the role's defaults say:
 * read committed, read write.
 */
extern void cano_txn_begin(void);

/* Commit as the role; raises what the commit raises. */
extern void cano_txn_commit(bool async);

/*
 * Is it time to commit: does anybody wait for a row that this transaction has
 * written, or do subtransactions begin to cost the others' snapshots?
 */
extern bool cano_txn_is_wanted(void);

/* After an error was caught, copied and flushed. */
extern void cano_txn_abort(void);

/*
 * In a session, after an error was caught, copied and flushed, and before it
 * is raised again: end the subtransactions that were begun here, which
 * nobody else knows how to end.
 */
extern void cano_txn_unwind(void);

/*
 * Was this error an interruption of the whole session (by pg_cancel_backend,
 * statement_timeout, ...), not something that a task raised?
 */
extern bool cano_txn_was_cancelled(const ErrorData *edata);

#endif							/* CANO_TXN_H */
