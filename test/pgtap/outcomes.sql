-- What the outcomes that a task returns do.
\ir lib/start.psql
SELECT plan(41);

CREATE SCHEMA t_outcome;
CREATE TABLE t_outcome.effect (run bigint, what text);
-- A task that leaves an effect and then returns the outcome that the input
-- describes.
CREATE FUNCTION t_outcome.act(run_id bigint, go text DEFAULT NULL, out jsonb DEFAULT NULL, delay interval DEFAULT NULL,
	say text DEFAULT 'next')
RETURNS cano.outcome LANGUAGE plpgsql AS $$
BEGIN
	INSERT INTO t_outcome.effect VALUES (run_id, say);
	RETURN CASE say
		WHEN 'next' THEN cano.next(go, out, delay)
		WHEN 'more' THEN cano.more('1')
		WHEN 'pending' THEN cano.pending()
		WHEN 'failed' THEN cano.failed('we declined', '{"why": "too old"}')
		WHEN 'cancelled' THEN cano.cancelled('not wanted')
	END;
END $$;
CREATE FUNCTION t_outcome.rest() RETURNS void LANGUAGE plpgsql AS 'BEGIN END';
SELECT cano.define('t_outcome.flow',
	cano.task('act', 't_outcome.act', next => 'done', targets => ARRAY['other', 'act'], retry => cano.fixed(3, '0')),
	cano.task('other', 't_outcome.rest', next => 'done'),
	cano.task('outside', 't_outcome.rest', next => 'done'),
	cano.task('reach', 't_outcome.act', next => 'outside'),
	cano.exit('done'),
	cano.options(start => 'act')) AS v \gset
