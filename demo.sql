/*
 * demo.sql
 *	  What cano does, to be watched.  Played by ./demo on a throwaway server.
 *
 * Needs a superuser's psql on a server that has cano preloaded.  It checks
 * at the end that what it told is true.
 */
\set ON_ERROR_STOP on
\pset footer off
\pset null '·'
\pset linestyle unicode
\pset pager off
SET client_min_messages = warning;

CREATE ROLE shopkeeper LOGIN;
CREATE DATABASE shop OWNER shopkeeper;
\connect shop
SET client_min_messages = warning;
CREATE EXTENSION cano;
SELECT cano.grant_usage('shopkeeper') \g /dev/null
\connect shop shopkeeper

\echo
\echo '══ A shop, and the workflow of its orders ══════════════════════════════════'
\echo
\echo 'Three tables (stock, payments, mail log), four plain functions, one call:'
\echo
\echo '  SELECT cano.define(''order'','
\echo '    cano.task  (''reserve'', ''shop.reserve'', next => ''charge'', retry => cano.exponential(2)),'
\echo '    cano.task  (''charge'',  ''shop.charge'', next => ''route''),'
\echo '    cano.router(''route'',   ''shop.route'', targets => ARRAY[''wrap'', ''notify'']),'
\echo '    cano.timer (''wrap'',    delay => ''1 second'', next => ''notify''),'
\echo '    cano.task  (''notify'',  ''shop.notify'', next => ''done''),'
\echo '    cano.exit  (''done''));'
\echo
\i examples/shop.sql

-- Poll for a fact, at most 20 seconds.  Each look is a transaction of its own.
CREATE PROCEDURE shop.until(fact text)
LANGUAGE plpgsql
AS $$
DECLARE
	v_true boolean;
	v_limit timestamptz := clock_timestamp() + interval '20 seconds';
BEGIN
	LOOP
		EXECUTE 'SELECT ' || fact INTO v_true;
		EXIT WHEN v_true;
		IF clock_timestamp() > v_limit THEN
			RAISE 'this did not come true in time: %', fact;
		END IF;
		COMMIT;
		PERFORM pg_sleep(0.02);
	END LOOP;
END;
$$;

-- What an order left behind.
CREATE VIEW shop.ledger AS
SELECT o.order_no,
	(SELECT count(*) FROM shop.reservations AS r WHERE r.order_no = o.order_no) AS reservations,
	(SELECT count(*) FROM shop.payments AS p WHERE p.order_no = o.order_no) AS payments,
	(SELECT count(*) FROM shop.mail_log AS m WHERE m.order_no = o.order_no) AS mails
FROM (SELECT DISTINCT r.input ->> 'order_no' AS order_no FROM cano.runs AS r) AS o;

CREATE VIEW shop.log AS
SELECT c.run_id, c.sequence, c.kind, c.state, c.task,
	round(extract(epoch FROM c.recorded_at - r.submitted_at) * 1000) || ' ms' AS after
FROM cano.checkpoints AS c JOIN cano.runs AS r USING (run_id);

\echo '══ 1. An order that succeeds ═══════════════════════════════════════════════'
\echo
\echo 'A gift: it is reserved, paid, wrapped for a second, and a mail goes out.'
\echo 'No worker is held while it is being wrapped.'
\echo
\set ECHO queries
SELECT cano.submit('order', '{"order_no": "A-1", "article": "teapot", "amount": 25, "gift": true}') AS run \gset
\unset ECHO
CALL shop.until(format('(SELECT s.waiting_for = %L FROM cano.status(%s) AS s)', 'timer', :run));
\echo
\echo 'A moment later:'
\echo
SELECT s.status, s.state, s.waiting_for, round(extract(epoch FROM s.next_at - now()) * 1000) || ' ms' AS due_in
FROM cano.status(:run) AS s;
\set ECHO queries
SELECT cano.wait(:run);
\unset ECHO
\echo 'Each step was one commit: the function''s effects, its log rows and the next'
\echo 'job together.  The log:'
\echo
SELECT l.sequence, l.kind, l.state, l.task, l.after FROM shop.log AS l WHERE l.run_id = :run ORDER BY l.sequence;
SELECT * FROM shop.ledger WHERE order_no = 'A-1';

\echo '══ 2. A worker is killed in the middle ═════════════════════════════════════'
\echo
\echo 'Somebody keeps the card terminal busy (we do: an advisory lock).  The next'
\echo 'order is reserved, writes its payment, and hangs at the terminal.'
\echo
SELECT pg_advisory_lock(hashtext('card terminal')) \g /dev/null
SELECT cano.submit('order', '{"order_no": "B-2", "article": "teapot", "amount": 40}') AS run \gset
CREATE VIEW shop.at_terminal AS
SELECT a.pid, a.run_id, a.workflow, a.state, a.task, a.attempt
FROM cano.activity AS a
WHERE a.pid IN (SELECT l.pid FROM pg_locks AS l WHERE l.locktype = 'advisory' AND NOT l.granted)
	AND EXISTS (SELECT FROM cano.checkpoints AS c WHERE c.run_id = a.run_id AND c.state = 'charge');
CALL shop.until('EXISTS (SELECT FROM shop.at_terminal)');
SELECT pid AS victim FROM shop.at_terminal \gset
\set ECHO queries
SELECT pid, run_id, workflow, state, task, attempt FROM cano.activity;
\unset ECHO
\echo 'So far its reservation is committed, its payment is not:'
\echo
SELECT * FROM shop.ledger WHERE order_no = 'B-2';
\echo 'Kill that worker.  Another one takes the order over, and hangs where it hung:'
\echo
\set ECHO queries
SELECT pg_terminate_backend(:victim);
\unset ECHO
CALL shop.until(format('EXISTS (SELECT FROM shop.at_terminal WHERE pid <> %s)', :victim));
SELECT pid, run_id, workflow, state, task, attempt FROM cano.activity;
\echo 'The terminal is free again:'
\echo
SELECT pg_advisory_unlock(hashtext('card terminal')) \g /dev/null
\set ECHO queries
SELECT cano.wait(:run);
\unset ECHO
SELECT l.sequence, l.kind, l.state, l.task, l.after FROM shop.log AS l WHERE l.run_id = :run ORDER BY l.sequence;
\echo 'Every effect is there exactly once: nothing was lost with the worker, nothing'
\echo 'was done twice.  (The gap before its payment''s number is what was rolled back.)'
\echo
SELECT * FROM shop.ledger WHERE order_no = 'B-2';

\echo '══ 3. An order that fails ══════════════════════════════════════════════════'
\echo
\echo 'There is one samovar.  This customer wants three; a constraint says no.'
\echo
\set ON_ERROR_STOP off
\set ECHO queries
SELECT cano.submit('order', '{"order_no": "C-3", "article": "samovar", "quantity": 3, "amount": 300}') AS run \gset
SELECT cano.wait(:run);
\unset ECHO
\set ON_ERROR_STOP on
\echo
\echo 'One attempt and two retries, later and later, all on record:'
\echo
SELECT a.state, a.attempt, a.sqlstate, a.message, round(extract(epoch FROM a.started_at - r.submitted_at) * 1000) || ' ms' AS after
FROM cano.attempts AS a JOIN cano.runs AS r USING (run_id) WHERE a.run_id = :run ORDER BY a.attempt;
\echo 'The run keeps its error, and is a dead letter:'
\echo
SELECT r.status, r.state, e.key AS error, e.value
FROM cano.runs AS r, jsonb_each_text(r.error) AS e
WHERE r.run_id = :run AND e.value IS NOT NULL ORDER BY e.key;
SELECT d.workflow, d.state, d.attempts FROM cano.dead_letters AS d WHERE d.run_id = :run;
\echo 'Each failed attempt was rolled back: no reservation stayed, no samovar is gone.'
\echo
SELECT * FROM shop.ledger WHERE order_no = 'C-3';
SELECT * FROM shop.stock ORDER BY article;

\echo '══ 4. Five hundred orders at once ══════════════════════════════════════════'
\echo
INSERT INTO shop.stock VALUES ('cup', 1000);
SELECT clock_timestamp() AS start \gset
\set ECHO queries
CREATE TABLE shop.rush AS
SELECT cano.submit_many('order', array_agg(jsonb_build_object('order_no', 'D-' || i, 'article', 'cup', 'quantity', 2, 'amount', 9))) AS run
FROM generate_series(1, 500) AS i;
SELECT count(cano.wait(run)) AS completed FROM shop.rush;
\unset ECHO
SELECT round(extract(epoch FROM clock_timestamp() - :'start') * 1000) || ' ms' AS took,
	count(*) FILTER (WHERE l.reservations = 1 AND l.payments = 1 AND l.mails = 1) AS orders_done_exactly_once,
	(SELECT available FROM shop.stock WHERE article = 'cup') AS cups_left
FROM shop.ledger AS l WHERE l.order_no LIKE 'D-%';

\echo '══ 5. The end of the day ═══════════════════════════════════════════════════'
\echo
\echo 'Three carriers are asked at once: the first answer counts, and whoever takes'
\echo 'half an hour is interrupted.  Then every paid order is handed over, four at a'
\echo 'time, many to a commit.'
\echo
\set ECHO queries
SELECT cano.submit('end of day') AS evening \gset
SELECT cano.wait(:evening);
SELECT branch, task, status, output FROM cano.branches WHERE run_id = :evening;
SELECT status, count(*) FROM cano.items WHERE run_id = :evening GROUP BY status;
\unset ECHO

\echo '══ 6. A present that cannot be sent: the saga rolls back ═══════════════════'
\echo
\echo '  SELECT cano.define(''present'','
\echo '    cano.task   (''reserve'', ''shop.reserve'', compensate => ''shop.put_back'', next => ''charge''),'
\echo '    cano.task   (''charge'',  ''shop.charge'', compensate => ''shop.pay_back'', next => ''proof''),'
\echo '    cano.receive(''proof'',   signal => ''approved'', timeout => ''1 month'', next => ''send''),'
\echo '    cano.task   (''send'',    ''shop.send'', next => ''done''),'
\echo '    cano.exit   (''done''));'
\echo
\echo 'It is reserved and paid; the customer approves of the engraving, but forgot'
\echo 'the address.  What was done is undone, latest first, each in one commit with'
\echo 'its entry on the stack:'
\echo
\set ECHO queries
SELECT cano.submit('present', '{"order_no": "E-5", "article": "teapot", "amount": 30}') AS run \gset
\unset ECHO
CALL shop.until(format('(SELECT s.waiting_for = %L FROM cano.status(%s) AS s)', 'signal', :run));
\set ECHO queries
SELECT sequence, state, task, output FROM cano.compensations WHERE run_id = :run ORDER BY sequence DESC;
SELECT cano.signal(:run, 'approved');
\set ON_ERROR_STOP off
SELECT cano.wait(:run);
\set ON_ERROR_STOP on
SELECT status, rollback FROM cano.status(:run);
SELECT line, entry FROM shop.journal WHERE order_no = 'E-5' ORDER BY line;
\unset ECHO

\echo '══ 7. A present that nobody wants any more ═════════════════════════════════'
\echo
\echo 'Half-way, waiting for approval, the run is cancelled.  It rolls back, too.'
\echo
\set ECHO queries
SELECT cano.submit('present', '{"order_no": "F-6", "article": "samovar", "amount": 90}') AS run \gset
\unset ECHO
CALL shop.until(format('(SELECT s.waiting_for = %L FROM cano.status(%s) AS s)', 'signal', :run));
\set ECHO queries
SELECT cano.cancel(:run, 'the birthday is over');
\set ON_ERROR_STOP off
SELECT cano.wait(:run);
\set ON_ERROR_STOP on
SELECT status, rollback, cancel_reason FROM cano.status(:run);
SELECT line, entry FROM shop.journal WHERE order_no = 'F-6' ORDER BY line;
\unset ECHO

DO $$
BEGIN
	ASSERT (SELECT count(l.order_no) FROM shop.ledger AS l WHERE l.order_no !~ '^[EF]') = 503;
	ASSERT (SELECT count(*) FROM shop.ledger AS l
			WHERE l.order_no !~ '^[EF]'
				AND (l.reservations, l.payments, l.mails) IS DISTINCT FROM (1, 1, 1)) = 1;
	ASSERT (SELECT l.reservations + l.payments + l.mails FROM shop.ledger AS l WHERE l.order_no = 'C-3') = 0;
	ASSERT (SELECT array_agg(s.available ORDER BY s.article) FROM shop.stock AS s) = ARRAY[0, 1, 8];
	ASSERT (SELECT array_agg(r.status ORDER BY r.run_id) FROM cano.runs AS r WHERE r.workflow = 'order' AND r.input ->> 'order_no' !~ '^D')
		= ARRAY['completed', 'completed', 'failed'];
	ASSERT (SELECT array_agg(r.status ORDER BY r.run_id) FROM cano.runs AS r WHERE r.workflow = 'end of day') = ARRAY['completed'];
	ASSERT (SELECT count(DISTINCT h.order_no) FROM shop.handed_over AS h WHERE h.carrier = 'horse') = 502,
		(SELECT string_agg(DISTINCT i.error ->> 'message', '; ') FROM cano.items AS i);
	ASSERT (SELECT count(*) FROM shop.handed_over) = 502;
	ASSERT (SELECT count(*) FROM cano.attempts) = 4;
	ASSERT (SELECT count(*) FROM cano.dead_letters) = 2;
	ASSERT (SELECT array_agg(r.status || ' ' || r.rollback ORDER BY r.run_id) FROM cano.runs AS r WHERE r.workflow = 'present')
		= ARRAY['failed clean', 'cancelled clean'];
	ASSERT (SELECT array_agg(split_part(j.entry, ' ', 1) ORDER BY j.line) FROM shop.journal AS j WHERE j.order_no ~ '^[EF]')
		= ARRAY['reserve', 'charge', 'pay', 'put', 'reserve', 'charge', 'pay', 'put'];
	ASSERT (SELECT count(*) FROM cano.compensations) = 0;
END;
$$;
\echo 'Checked: every order''s effects are there exactly once, or not at all, or undone.'
