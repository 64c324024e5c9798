/*
 * An outbox: confirmations are sent by a client outside the database.
 *
 * What is hard elsewhere: to tell the world what was committed, all of that and
 * nothing else.  Here the run begins in the order's transaction; a client
 * takes the work under a lease.  If it dies, another one is given the same work
 * with the same key for its mail server; should the first come back, it is told
 * that it is too late.
 *
 * The client is this script.  examples/external_client.pl is a real one:
 *		examples/external_client.pl example-mail COMMAND
 */
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS outbox CASCADE;
CREATE SCHEMA outbox;
SELECT cano.cancel(run_id) FROM cano.runs WHERE workflow = 'example outbox' AND ended_at IS NULL;

CREATE TABLE outbox.orders (order_no text PRIMARY KEY, article text, confirmed_by text);

CREATE FUNCTION outbox.confirmed(order_no text, mail_id text)
RETURNS void
LANGUAGE sql
AS $$ UPDATE outbox.orders AS o SET confirmed_by = mail_id WHERE o.order_no = confirmed.order_no $$;

SELECT cano.define('example outbox',
	cano.external('mail', queue => 'example-mail', retry => cano.fixed(5, '0'), next => 'note'),
	cano.task    ('note', 'outbox.confirmed', next => 'done'),
	cano.exit    ('done')) AS version;

-- Every order has its run, whoever inserts it: no code can forget that.
CREATE FUNCTION outbox.begin_run()
RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
	PERFORM cano.submit('example outbox', jsonb_build_object('order_no', NEW.order_no, 'article', NEW.article));
	RETURN NULL;
END;
$$;
CREATE TRIGGER begin_run AFTER INSERT ON outbox.orders FOR EACH ROW EXECUTE FUNCTION outbox.begin_run();

-- One order is committed, the other is not: nobody will ever hear of it.
INSERT INTO outbox.orders VALUES ('O-1', 'teapot');
BEGIN;
INSERT INTO outbox.orders VALUES ('O-2', 'samovar');
ROLLBACK;

-- A client asks again until there is work; each time in its own transaction.
CREATE PROCEDURE outbox.next_mail(lease interval, INOUT token text, INOUT run bigint, INOUT key text, INOUT data jsonb)
LANGUAGE plpgsql
AS $$
BEGIN
	LOOP
		SELECT t.token, t.run_id, t.idempotency_key, t.data INTO token, run, key, data
		FROM cano.take('example-mail', lease => next_mail.lease) AS t;
		EXIT WHEN token IS NOT NULL;
		COMMIT;
		PERFORM pg_sleep(0.1);
	END LOOP;
END;
$$;

-- The first client takes the work, and is not heard of for longer than its lease.
CALL outbox.next_mail('1 second', NULL, NULL, NULL, NULL) \gset first_
\echo :first_data

-- Then the second is given it.  The key is the same: a mail server that has
-- seen it before does not send again.
CALL outbox.next_mail('1 minute', NULL, NULL, NULL, NULL) \gset second_

-- Its answer counts; the other's, from beyond its lease, does not.
SELECT cano.complete(:'second_token', '{"mail_id": "from the second"}') AS second \gset
SELECT cano.complete(:'first_token', '{"mail_id": "from the first"}') AS first \gset

SELECT cano.wait(:first_run);
SELECT state, attempt, message FROM cano.attempts WHERE run_id = :first_run;

SELECT o.order_no, o.confirmed_by, :'first_key' = :'second_key' AS same_key,
	:'second' AS second_counts, :'first' AS first_counts
FROM outbox.orders AS o;

--  order_no |  confirmed_by   | same_key | second_counts | first_counts
-- ----------+-----------------+----------+---------------+--------------
--  O-1      | from the second | t        | t             | f
-- (1 row)
