/*
 * An order as a saga: what was done is undone, and what cannot be undone now
 * is not forgotten.
 *
 * What is hard elsewhere: the refund fails, too.  Here it stays on the run's
 * stack, the rest is undone all the same, and one call tries again what is left.
 */
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS saga CASCADE;
CREATE SCHEMA saga;

-- The books of the shop, and of a bank that is not always open.
CREATE TABLE saga.journal (
	line integer GENERATED ALWAYS AS IDENTITY,
	order_no text,
	entry text
);
CREATE TABLE saga.bank (open boolean);
INSERT INTO saga.bank VALUES (true);

-- Steps are plain functions.  Parameters are bound by name, to the run's data.
CREATE FUNCTION saga.reserve(order_no text, article text)
RETURNS void
LANGUAGE sql
AS $$ INSERT INTO saga.journal (order_no, entry) VALUES (order_no, 'reserve ' || article) $$;

CREATE FUNCTION saga.put_back(order_no text, article text)
RETURNS void
LANGUAGE sql
AS $$ INSERT INTO saga.journal (order_no, entry) VALUES (order_no, 'put back ' || article) $$;

-- What a step returns is its output: its refund will be given it.
CREATE FUNCTION saga.charge(order_no text, amount numeric)
RETURNS jsonb
LANGUAGE sql
AS $$
	INSERT INTO saga.journal (order_no, entry) VALUES (order_no, 'charge ' || amount)
	RETURNING jsonb_build_object('payment', 'P-' || order_no)
$$;

CREATE FUNCTION saga.refund(order_no text, payment text)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
	INSERT INTO saga.journal (order_no, entry) VALUES (order_no, 'refund ' || payment);
	IF NOT (SELECT b.open FROM saga.bank AS b) THEN
		RAISE EXCEPTION 'the bank is closed';	-- the line above is rolled back
	END IF;
END;
$$;

-- CN900 says that trying again would not help.
CREATE FUNCTION saga.ship(order_no text, country text)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
	IF country = 'Atlantis' THEN
		RAISE EXCEPTION 'no carrier goes to %', country USING ERRCODE = 'CN900';
	END IF;
	INSERT INTO saga.journal (order_no, entry) VALUES (order_no, 'ship to ' || country);
END;
$$;

SELECT cano.define('example order saga',
	cano.task('reserve', 'saga.reserve', compensate => 'saga.put_back', next => 'charge'),
	cano.task('charge',  'saga.charge', compensate => 'saga.refund',
			  compensate_retry => cano.fixed(2, '100 ms'), next => 'ship'),
	cano.task('ship',    'saga.ship', next => 'done'),
	cano.exit('done')) AS version;

-- One that goes well.
SELECT cano.submit('example order saga',
	'{"order_no": "A", "article": "teapot", "amount": 25, "country": "Chile"}') AS run \gset
SELECT cano.wait(:run);

-- One that cannot be shipped, while the bank is closed: wait raises its error.
UPDATE saga.bank SET open = false;
SELECT cano.submit('example order saga',
	'{"order_no": "B", "article": "samovar", "amount": 90, "country": "Atlantis"}') AS run \gset
\set ON_ERROR_STOP off
SELECT cano.wait(:run);
\set ON_ERROR_STOP on

-- The samovar is put back, the money is not: rollback is "partial", and what
-- is left to undo can be seen.
SELECT status, rollback FROM cano.status(:run);
SELECT sequence, state, task, output FROM cano.compensations WHERE run_id = :run;
SELECT cano.explain(:run);

-- The bank opens, and the rest is undone.
UPDATE saga.bank SET open = true;
SELECT cano.compensate(:run);
\set ON_ERROR_STOP off
SELECT cano.wait(:run);
\set ON_ERROR_STOP on

SELECT j.order_no, string_agg(j.entry, ', ' ORDER BY j.line) AS entries,
	(SELECT s.rollback FROM cano.status(:run) AS s WHERE j.order_no = 'B') AS rollback
FROM saga.journal AS j
GROUP BY j.order_no
ORDER BY j.order_no;

--  order_no |                         entries                          | rollback
-- ----------+----------------------------------------------------------+----------
--  A        | reserve teapot, charge 25, ship to Chile                 |
--  B        | reserve samovar, charge 90, put back samovar, refund P-B | clean
-- (2 rows)
