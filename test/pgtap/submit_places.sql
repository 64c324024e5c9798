-- Calls from where nobody expects them: triggers, views, policies, defaults,
-- deferred constraints, index expressions, functions of other owners.
\ir lib/start.psql
SELECT plan(19);

CREATE SCHEMA t_place;
CREATE ROLE t_place_alice LOGIN;
CREATE ROLE t_place_bob LOGIN;
SELECT cano.grant_usage('t_place_alice'), cano.grant_usage('t_place_bob') \g /dev/null
GRANT USAGE, CREATE ON SCHEMA t_place TO t_place_alice, t_place_bob;

SET ROLE t_place_alice;
CREATE FUNCTION t_place.who() RETURNS text LANGUAGE sql AS 'SELECT current_user::text';
SELECT cano.define('t_place', cano.task('a', 't_place.who', next => 'end'), cano.exit('end')) AS v \gset
CREATE FUNCTION t_place.submits() RETURNS bigint LANGUAGE sql AS $$SELECT cano.submit('t_place')$$;
CREATE FUNCTION t_place.submits_as_owner() RETURNS bigint LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$SELECT cano.submit('t_place')$$;
CREATE FUNCTION t_place.pretends(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$BEGIN PERFORM cano.submit('t_place'); RETURN $1; END$$;
CREATE FUNCTION t_place.trigger() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM cano.submit('t_place'); RETURN new; END$$;
CREATE TABLE t_place.triggered (x int);
CREATE TRIGGER t BEFORE INSERT ON t_place.triggered FOR EACH ROW EXECUTE FUNCTION t_place.trigger();
CREATE TABLE t_place.defaulted (x bigint DEFAULT cano.submit('t_place'));
CREATE TABLE t_place.filtered AS SELECT 1 AS x;
ALTER TABLE t_place.filtered ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON t_place.filtered USING (cano.submit('t_place') > 0);
CREATE VIEW t_place.viewed AS SELECT t_place.submits() AS run;
CREATE TABLE t_place.indexed (x int);
CREATE MATERIALIZED VIEW t_place.stored AS SELECT cano.submit('t_place') AS x WITH NO DATA;
GRANT ALL ON t_place.triggered, t_place.defaulted, t_place.filtered, t_place.viewed, t_place.indexed TO t_place_bob;
RESET ROLE;
CREATE FUNCTION pg_temp.owners() RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_owners text := (SELECT string_agg(r.role::text, ' ') FROM cano.runs AS r WHERE r.status = 'queued');
BEGIN
	PERFORM cano.cancel(r.run_id) FROM cano.runs AS r WHERE r.status = 'queued';
	RETURN v_owners;
END $$;

-- A run belongs to the one with whose rights the call is made.
SET ROLE t_place_bob;
INSERT INTO t_place.triggered VALUES (1);
RESET ROLE;
SELECT is(pg_temp.owners(), 't_place_bob', 'a trigger submits for him who wrote');
SET ROLE t_place_bob;
INSERT INTO t_place.defaulted DEFAULT VALUES;
RESET ROLE;
SELECT is(pg_temp.owners(), 't_place_bob', 'so does a default');
SET ROLE t_place_bob;
SELECT * FROM t_place.filtered \g /dev/null
RESET ROLE;
SELECT is(pg_temp.owners(), 't_place_bob', 'a policy for him who reads');
SET ROLE t_place_bob;
SELECT * FROM t_place.viewed \g /dev/null
RESET ROLE;
SELECT is(pg_temp.owners(), 't_place_bob', 'and a view');
SET ROLE t_place_bob;
SELECT t_place.submits_as_owner() \g /dev/null
RESET ROLE;
SELECT is(pg_temp.owners(), 't_place_alice', 'a SECURITY DEFINER function submits for its owner');

-- Nothing is submitted for somebody who only maintains a table.
SET ROLE t_place_alice;
SELECT throws_ok('CREATE INDEX ON t_place.filtered (t_place.pretends(x))', '42501', NULL, 'refused: an index expression');
INSERT INTO t_place.indexed SELECT generate_series(1, 10);
SELECT throws_ok('REFRESH MATERIALIZED VIEW t_place.stored', '42501', NULL, 'refused: a materialized view');
RESET ROLE;
SELECT throws_ok('REFRESH MATERIALIZED VIEW t_place.stored', '42501', NULL, 'also when an administrator refreshes it');
SET ROLE t_place_alice;
CREATE STATISTICS t_place.s ON (t_place.pretends(x)) FROM t_place.indexed;
RESET ROLE;
SELECT throws_ok('ANALYZE t_place.indexed', '42501', NULL, 'or analyzes a table');
SELECT is(pg_temp.owners(), NULL, 'none of these submits');

-- A deferred trigger calls cano for its own run, when the step is over.
SET ROLE t_place_alice;
CREATE TABLE t_place.late (run bigint, what text);
CREATE FUNCTION t_place.late() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
	CASE new.what
		WHEN 'submit' THEN PERFORM cano.submit('t_place', key => 'late');
		WHEN 'signal' THEN PERFORM cano.signal(new.run, 'go', '1');
		WHEN 'cancel' THEN PERFORM cano.cancel(new.run, 'late');
		WHEN 'resume' THEN PERFORM cano.resume(new.run);
		WHEN 'put' THEN PERFORM cano.put('late', '1');
		WHEN 'again' THEN
			SET CONSTRAINTS ALL DEFERRED;
			INSERT INTO t_place.late VALUES (new.run, 'signal');
	END CASE;
	RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON t_place.late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION t_place.late();
CREATE FUNCTION t_place.puts_off(run_id bigint, what text) RETURNS void LANGUAGE sql AS 'INSERT INTO t_place.late VALUES (run_id, what)';
SELECT cano.define('t_place.late', cano.task('a', 't_place.puts_off', next => 'b', retry => cano.none()), cano.receive('b', 'go', next => 'end'), cano.exit('end')) AS v \gset
CREATE TABLE t_place.run AS SELECT w AS what, cano.submit('t_place.late', jsonb_build_object('what', w)) AS id
FROM unnest('{submit,signal,cancel,resume,put,again}'::text[]) AS w;
CALL cano.work();
CALL cano.work();
RESET ROLE;
SELECT is(s.status, v.wanted, 'a deferred trigger of the task calls ' || v.what || ': ' || v.wanted)
FROM (VALUES ('submit', 'waiting'), ('signal', 'completed'), ('cancel', 'cancelled'), ('resume', 'waiting'), ('put', 'waiting'), ('again', 'completed')) AS v (what, wanted)
JOIN t_place.run USING (what), cano.status(id) AS s;
SELECT is((SELECT r.result ->> 'a' FROM cano.runs AS r WHERE r.key = 'late'), 't_place_alice', 'what it submitted has run');
SELECT is((SELECT count(*) FROM cano._signal), 0::bigint, 'what it sent was received');
SELECT cano.cancel(r.run_id) FROM cano.runs AS r WHERE r.status = 'waiting' \g /dev/null
SET ROLE t_place_alice;
CALL cano.work();
SET ROLE t_place_bob;
CALL cano.work();
RESET ROLE;
SELECT is_empty($$SELECT * FROM cano.runs WHERE ended_at IS NULL$$, 'all can still be cancelled');

SELECT * FROM finish();
SET client_min_messages = error;
DROP SCHEMA t_place CASCADE;
SELECT cano.revoke_usage('t_place_alice'), cano.revoke_usage('t_place_bob') \g /dev/null
DROP OWNED BY t_place_alice, t_place_bob;
DROP ROLE t_place_alice, t_place_bob;
