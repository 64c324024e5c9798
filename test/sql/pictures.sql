-- What pictures look like: a workflow of an order and runs of it.  Ids, times
-- and durations differ from run to run and are made the same.
\pset format unaligned
\pset tuples_only on
CREATE SCHEMA pictured;
CREATE FUNCTION pictured.rest() RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION pictured.charge(attempt int, funds boolean DEFAULT true) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	IF NOT funds THEN
		RAISE EXCEPTION 'the card was declined' USING ERRCODE = 'P0007', HINT = 'Use another card.';
	END IF;
END $$;
SELECT cano.define('pictured',
	cano.task('reserve', 'pictured.rest', compensate => 'pictured.rest', next => 'charge'),
	cano.task('charge', 'pictured.charge', retry => cano.fixed(2, '1 ms'), next => 'approve'),
	cano.receive('approve', signal => 'approval', timeout => '1 day', on_timeout => 'too late', next => 'tell'),
	cano.split('tell', ARRAY['pictured.rest', 'pictured.rest'], next => 'done'),
	cano.exit('done'), cano.exit('too late', outcome => 'cancelled'));
CREATE FUNCTION pictured.same(picture text) RETURNS text LANGUAGE sql AS $$
	SELECT regexp_replace(regexp_replace(regexp_replace(regexp_replace(replace(picture, current_user, '<me>'),
		'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d', '<time>', 'g'),
		'(\d+ (d|h|min) )?\d+(\.\d)? (ms|s|min|h)\M', '<span>', 'g'),
		'(run |run_id = |signal\()\d+', '\1<id>', 'g'),
		'\n→ No background worker[^\n]*', '', 'g') $$;

SELECT pictured.same(cano.explain('pictured'));
SELECT cano.mermaid('pictured');
-- One that waits
SELECT cano.submit('pictured') AS run \gset
DO $$
BEGIN
	WHILE NOT EXISTS (SELECT FROM cano.runs WHERE workflow = 'pictured' AND waiting_for = 'signal') LOOP
		PERFORM pg_sleep(0.01);	-- lasts: until it waits
		COMMIT;
	END LOOP;
END $$;
SELECT pictured.same(cano.explain(:run));
SELECT cano.signal(:run, 'approval') \g /dev/null
SELECT cano.wait(:run);
SELECT pictured.same(cano.explain(:run));
SELECT pictured.same(cano.mermaid(:run));

-- One that failed and was undone
SELECT cano.submit('pictured', '{"funds": false}') AS run \gset
\set VERBOSITY terse
SELECT cano.wait(:run);
SELECT pictured.same(cano.explain(:run));
SELECT regexp_replace(pictured.same(cano.timeline(:run)), '\|[^|]*\|| {3,}', '| ... |', 'g');
-- Of what does not exist
SELECT cano.explain('pictured nowhere');
SELECT cano.report(0);
\set VERBOSITY default
SELECT cano.timeline(:run, 'png');
DROP SCHEMA pictured CASCADE;
