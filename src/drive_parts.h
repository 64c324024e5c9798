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

extern void cano_drive_lane(CanoDrive *drive, CanoRun *lane);
extern void cano_drive_drain(CanoDrive *drive, CanoRun *run);

#endif							/* CANO_DRIVE_PARTS_H */
