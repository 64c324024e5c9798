/*-------------------------------------------------------------------------
 *
 * window.h
 *	  The elevated window: the only place where cano has more rights than the
 *	  user, for its own constant statements.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_WINDOW_H
#define CANO_WINDOW_H

typedef struct CanoWindow
{
	Oid			userid;
	int			sec_context;
	int			guc_nestlevel;
	bool		snapshot;		/* pushed one, because there was none */
} CanoWindow;

/*
 * What this database knows of the extension; InvalidOid where it is not there.
 * CANO_VERSION, the version of this library, comes from the Makefile.
 */
typedef struct CanoExtension
{
	Oid			oid;
	Oid			schema;
	Oid			owner;
	Oid			outcome_type;	/* cano.outcome */
	bool		fits;			/* it has the version of this library */
	char		version[32];
} CanoExtension;

/* Never NULL.  Valid until the next catalog access; needs a transaction. */
extern const CanoExtension *cano_extension(void);

/* The extension stays until the transaction is over; false: it is not there. */
extern bool cano_extension_hold(void);

/* Say that its version does not fit. */
extern void cano_extension_report(int elevel);

/*
 * Between open and close the identity is the extension owner's, the settings
 * that change the meaning of a statement are fixed, and SPI is connected.
 * Nothing of the user's may be called in between: no conversion of a user's
 * type, no function of a user's.  Results are copied out of SPI's memory by
 * whoever reads them.  An error between the two is cleaned up by the abort
 * of the (sub)transaction that surrounds them.
 */
extern void cano_window_open(CanoWindow *window);
extern void cano_window_close(CanoWindow *window);

/* Is the engine itself acting right now? */
extern bool cano_window_is_open(void);

/* Raise an error where an identity must not be borrowed (index expressions, ...). */
extern void cano_window_refuse_restricted(const char *function);

extern void cano_window_init(void);

#endif							/* CANO_WINDOW_H */
