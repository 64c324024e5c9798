/*-------------------------------------------------------------------------
 *
 * drive.h
 *	  Drive claimed jobs on, as far as their transaction may go.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_DRIVE_H
#define CANO_DRIVE_H

#include "drive_step.h"

/*
 * Take a claimed job as far as it goes.  What is left of it is gathered in
 * the settlement.
 */
extern void cano_drive(CanoDrive *drive, CanoRun *run);

#endif							/* CANO_DRIVE_H */
