/*
 * What CREATE OR REPLACE cannot do to an installed 0.1.0: everything about
 * tables, sequences and types; DROP of functions and views that went, or
 * whose parameters or columns changed otherwise than by being added to.
 */
