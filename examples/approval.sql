/*
 * Expenses that somebody has to approve.
 *
 * What is hard elsewhere: waiting for people.  A run that waits is a row, not a
 * process, for days or months, over restarts.  An answer may come before
 * anybody waits for it: it is kept.  If none comes in time, somebody else is asked.
 */
SET client_min_messages = warning;
DROP SCHEMA IF EXISTS approval CASCADE;
CREATE SCHEMA approval;

CREATE TABLE approval.ledger (
	line integer GENERATED ALWAYS AS IDENTITY,
	expense text,
	entry text
);

CREATE FUNCTION approval.ask(expense text, boss text)
RETURNS void
LANGUAGE sql
AS $$ INSERT INTO approval.ledger (expense, entry) VALUES (expense, 'ask ' || boss) $$;

CREATE FUNCTION approval.ask_director(expense text)
RETURNS void
LANGUAGE sql
AS $$ INSERT INTO approval.ledger (expense, entry) VALUES (expense, 'ask the director') $$;

-- A router: the text it returns is the next state.  "signal" is the payload of
-- the latest signal that the run has received.
CREATE FUNCTION approval.decide(signal jsonb)
RETURNS text
LANGUAGE sql
AS $$ SELECT CASE WHEN (signal ->> 'yes')::boolean THEN 'pay' ELSE 'refused' END $$;

CREATE FUNCTION approval.pay(expense text, amount numeric, signal jsonb)
RETURNS void
LANGUAGE sql
AS $$
	INSERT INTO approval.ledger (expense, entry)
	VALUES (expense, format('pay %s, says %s', amount, signal ->> 'by'))
$$;

-- Days are a second here, for you not to wait.
SELECT cano.define('example approval',
	cano.task   ('ask',          'approval.ask', next => 'manager'),
	cano.receive('manager',      signal => 'manager', timeout => '1 second',
				 on_timeout => 'ask director', next => 'decide'),
	cano.task   ('ask director', 'approval.ask_director', next => 'director'),
	cano.receive('director',     signal => 'director', timeout => '30 days', next => 'decide'),
	cano.router ('decide',       'approval.decide', targets => ARRAY['pay', 'refused']),
	cano.task   ('pay',          'approval.pay', next => 'paid'),
	cano.exit   ('paid'),
	cano.exit   ('refused')) AS version;

-- A key is a name of your own for the run, so that whoever answers need not
-- know its number.
BEGIN;
SELECT cano.submit('example approval', '{"expense": "taxi", "boss": "Ida", "amount": 30}',
	key => 'taxi') AS taxi \gset
SELECT cano.submit('example approval', '{"expense": "yacht", "boss": "Ida", "amount": 90000}',
	key => 'yacht') AS yacht \gset
SELECT cano.submit('example approval', '{"expense": "train", "boss": "Jon", "amount": 80}',
	key => 'train') AS train \gset

-- Ida answers before she is asked.  Jon is on holiday, and the director, whom
-- nobody is going to ask for a while, knows already what she will say.
SELECT cano.signal('taxi', 'manager', '{"yes": true, "by": "Ida"}');
SELECT cano.signal('yacht', 'manager', '{"yes": false, "by": "Ida"}');
SELECT cano.signal('train', 'director', '{"yes": true, "by": "the director"}');
COMMIT;
SELECT name, payload FROM cano.signals WHERE run_id = :train;

-- Soon it waits for Jon.  No worker is held meanwhile.
SELECT status, waiting_for, state FROM cano.status(:train);

SELECT cano.wait(run) FROM unnest(ARRAY[:taxi, :yacht, :train]) AS run;
SELECT cano.explain(:train);

SELECT r.key AS expense, r.state AS "end", string_agg(l.entry, '; ' ORDER BY l.line) AS ledger
FROM cano.runs AS r JOIN approval.ledger AS l ON l.expense = r.key
WHERE r.run_id IN (:taxi, :yacht, :train)
GROUP BY r.key, r.state
ORDER BY r.key;

--  expense |   end   |                        ledger
-- ---------+---------+------------------------------------------------------
--  taxi    | paid    | ask Ida; pay 30, says Ida
--  train   | paid    | ask Jon; ask the director; pay 80, says the director
--  yacht   | refused | ask Ida
-- (3 rows)
