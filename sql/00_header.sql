/*
 * cano: durable workflows in PostgreSQL.
 *
 * Parts of this directory are joined in the order of their numbers.  Every
 * name is qualified and nothing is replaced, so that an object somebody
 * planted beforehand makes the installation fail instead of being adopted.
 */
-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION cano" to load this file. \quit

CREATE SCHEMA cano;
COMMENT ON SCHEMA cano IS 'durable workflows: states, retries, waits and sagas';
