/*-------------------------------------------------------------------------
 *
 * drive_parts.h
 *	  Drive lanes from branch to branch, and rollbacks down the stack.
 *
 *-------------------------------------------------------------------------
 */
#ifndef CANO_DRIVE_PARTS_H
#define CANO_DRIVE_PARTS_H

#include "drive_step.h"

/*
 * Drive the branches of a fan that was just opened, as far as they are quick.
 * True if that closed it: then the run that holds it is ready for its join.
 */
extern bool cano_drive_fan(CanoDrive *drive, CanoRun *run);

extern void cano_drive_lane(CanoDrive *drive, CanoRun *lane);
extern void cano_drive_drain(CanoDrive *drive, CanoRun *run);

#endif							/* CANO_DRIVE_PARTS_H */
