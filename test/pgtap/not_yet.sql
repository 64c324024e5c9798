-- Definitions that this release cannot run are refused at submit, in words.
\ir lib/start.psql
SELECT plan(2);

CREATE SCHEMA t_not_yet;
CREATE FUNCTION t_not_yet.rest() RETURNS void LANGUAGE plpgsql AS 'BEGIN END';

CREATE FUNCTION pg_temp.defined(workflow text, VARIADIC parts jsonb[]) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM cano.define(workflow, VARIADIC parts || cano.exit('end'));
	RETURN workflow;
END $$;
CREATE TEMP TABLE flow (n serial, workflow text, word text);
INSERT INTO flow (workflow, word) VALUES
	(pg_temp.defined('t_not_yet.on_end', cano.task('s', 't_not_yet.rest', next => 'end'), cano.options(on_end => 't_not_yet.rest')), 'on_end');
SELECT unnest(ARRAY[
	throws_ok(format('SELECT cano.submit(%L)', workflow), NULL, NULL, workflow || ' is refused'),
	throws_ilike(format('SELECT cano.submit(%L)', workflow), '%' || word || '%', workflow || ' is refused by name')])
FROM flow ORDER BY n;

SELECT * FROM finish();
DROP SCHEMA t_not_yet CASCADE;
