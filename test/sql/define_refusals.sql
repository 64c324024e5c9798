-- What cano.define refuses, each time naming the state and the key.
\pset format unaligned
\pset tuples_only on
CREATE SCHEMA shop;
CREATE FUNCTION shop.work(data jsonb) RETURNS jsonb LANGUAGE sql RETURN data;
CREATE FUNCTION shop.choose(data jsonb) RETURNS text LANGUAGE sql RETURN 'done';
CREATE FUNCTION shop.ready() RETURNS boolean LANGUAGE sql RETURN true;
CREATE FUNCTION shop.due() RETURNS interval LANGUAGE sql RETURN '1 s'::interval;
CREATE FUNCTION shop.refusal(VARIADIC parts jsonb[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_message text;
	v_detail text;
	v_hint text;
BEGIN
	RETURN 'accepted as ' || cano.define('w', VARIADIC parts);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS v_message = MESSAGE_TEXT, v_detail = PG_EXCEPTION_DETAIL, v_hint = PG_EXCEPTION_HINT;
	RETURN sqlstate || ' ' || concat_ws(' | ', v_message, nullif(v_detail, ''), nullif(v_hint, ''));
END $$;
-- One state that stands before an exit.
CREATE FUNCTION shop.state(part jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT shop.refusal(part, '{"kind": "exit", "state": "done"}') $$;
CREATE FUNCTION shop.options(part jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT shop.refusal('{"kind": "exit", "state": "done"}', part) $$;

-- The workflow as a whole
SELECT shop.refusal(VARIADIC '{}');
SELECT shop.refusal(cano.options());
SELECT shop.refusal(cano.task('a', 'shop.work', next => 'a'));
SELECT shop.refusal(cano.exit('a'), cano.exit('a'));
SELECT shop.refusal(cano.exit('a'), cano.exit('b'));
SELECT shop.refusal(cano.task('a', 'shop.work', next => 'done'), cano.task('b', 'shop.work', next => 'a'), cano.exit('done'));
SELECT shop.refusal(cano.exit('a'), cano.options(start => 'b'));
SELECT shop.refusal(cano.exit('a'), cano.options(), cano.options(keep => '1 day'), cano.options());
SELECT shop.refusal(cano.exit(''));
SELECT shop.refusal(cano.exit(repeat('x', 1001))) LIKE '%key "state" must have 1 to 1000 characters';
SELECT shop.refusal(cano.exit(NULL));
SELECT shop.refusal(NULL::jsonb);
SELECT shop.refusal(VARIADIC NULL);
SELECT shop.refusal('[]');
SELECT shop.refusal('{}');
SELECT shop.refusal('{"kind": "tusk", "state": "a"}');
SELECT cano.define(NULL, cano.exit('a'));
SELECT cano.define('', cano.exit('a'));

-- Where states lead
SELECT shop.state(cano.task('a', 'shop.work', next => 'nowhere'));
SELECT shop.state(cano.task('a', 'shop.work', targets => ARRAY['done', 'nowhere']));
SELECT shop.state(cano.task('a', 'shop.work', targets => '{}'));
SELECT shop.state(cano.task('a', 'shop.work'));
SELECT shop.state(cano.receive('a', signal => 's', on_timeout => 'nowhere', next => 'done'));
SELECT shop.state(cano.receive('a', signal => 's', on_timeout => 'done'));
SELECT shop.state(cano.child('a', 'w', on_failure => 'nowhere', next => 'done'));
SELECT shop.state(cano.split('a', ARRAY['shop.work'], next => 'nowhere'));
SELECT shop.state(cano.split('a', ARRAY['shop.work']));

-- Keys
SELECT shop.state('{"kind": "task", "state": "a", "run": "shop.work", "next": "done", "timout": "1 s"}');
SELECT shop.state('{"kind": "exit", "state": "a", "something": 1}');
SELECT shop.state('{"kind": "poll", "state": "a", "run": "shop.ready", "next": "done", "compensate": "shop.work"}');
SELECT shop.state('{"kind": "router", "state": "a", "run": "shop.choose", "compensate": "shop.work"}');
SELECT shop.state('{"kind": "batch", "state": "a", "load": "shop.work", "process": "shop.work", "compensate": "shop.work"}');
SELECT shop.state('{"kind": "split", "state": "a", "tasks": [], "next": "done", "compensate": "shop.work"}');
SELECT shop.state('{"kind": "task", "state": "a", "next": "done"}');
SELECT shop.state(cano.task('a', 'shop.nothing', next => 'done'));
SELECT shop.state('{"kind": "task", "state": "a", "run": 5, "next": "done"}');
SELECT shop.state('{"kind": "task", "state": "a", "run": "shop.work", "next": ["done"]}');
SELECT shop.state('{"kind": "task", "state": "a", "run": "shop.work", "targets": "done"}');
SELECT shop.state('{"kind": "task", "state": "a", "run": "shop.work", "next": "done", "timeout": 5}');
SELECT shop.state('{"kind": "task", "state": "a", "run": "shop.work", "next": "done", "timeout": "soon"}');
SELECT shop.state('{"kind": "task", "state": "a", "run": "shop.work", "next": "done", "retry": 3}');
SELECT shop.state('{"kind": "task", "state": "a", "run": "shop.work", "next": "done", "retry": {"retries": 3}}');
SELECT shop.state('{"kind": "task", "state": "a", "run": "shop.work", "next": "done", "retry": {"policy": "fixd"}}');
SELECT shop.options('{"kind": "options", "prioritty": 5}');
SELECT shop.options('{"kind": "options", "priority": "high"}');
SELECT shop.options('{"kind": "options", "priority": 1.5}');
SELECT shop.options('{"kind": "options", "priority": 3000000000}');

-- Values
SELECT shop.state(cano.task('a', 'shop.work', next => 'done', timeout => '0'));
SELECT shop.state(cano.task('a', 'shop.work', next => 'done', timeout => '1 mon -31 days'));
SELECT shop.state(cano.task('a', 'shop.work', next => 'done', breaker => 'x'));
SELECT shop.state(cano.task('a', 'shop.work', next => 'done', limiter => 'x'));
SELECT shop.state(cano.task('a', 'shop.work', next => 'done', fatal_on => ARRAY['235']));
SELECT shop.state(cano.task('a', 'shop.work', next => 'done', fatal_on => ARRAY['42p01']));
SELECT shop.state(cano.task('a', 'shop.work', next => 'done', retry => cano.fixed(-1, '1 s')));
SELECT shop.state(cano.task('a', 'shop.work', next => 'done', retry => cano.fixed(1, '-1 s')));
SELECT shop.state(cano.task('a', 'shop.work', next => 'done', retry => cano.exponential(1, multiplier => 0)));
SELECT shop.state(cano.task('a', 'shop.work', next => 'done', retry => cano.exponential(1, multiplier => 'NaN')));
SELECT shop.state(cano.task('a', 'shop.work', next => 'done', retry => cano.exponential(1, jitter => 1.1)));
SELECT shop.state(cano.timer('a', next => 'done'));
SELECT shop.state(cano.timer('a', '1 s', run => 'shop.due', next => 'done'));
SELECT shop.state(cano.timer('a', '-1 s', next => 'done'));
SELECT shop.state(cano.timer('a', until => 'infinity', next => 'done'));
SELECT shop.state(cano.exit('a', 'finished'));
SELECT shop.state(cano.poll('a', 'shop.ready', next => 'done', max_errors => -1));
SELECT shop.state(cano.batch('a', 'shop.work', 'shop.work', next => 'done', concurrency => -1));
SELECT shop.options(cano.options(concurrency => 0));
SELECT shop.options(cano.options(keep => '-1 day'));
SELECT shop.options(cano.options(timeout => '0'));
SELECT shop.options(cano.options(log => 'error'));
SELECT shop.options(cano.options(durability => 'none'));
SELECT shop.options(cano.options(on_timeout => 'ignore'));

-- Splits
SELECT shop.state(cano.split('a', ARRAY['shop.work'], next => 'done', join => cano.percentage(0)));
SELECT shop.state(cano.split('a', ARRAY['shop.work'], next => 'done', join => cano.percentage(1.01)));
SELECT shop.state(cano.split('a', ARRAY['shop.work'], next => 'done', join => cano.percentage('NaN')));
SELECT shop.state(cano.split('a', ARRAY['shop.work'], next => 'done', join => cano.quorum(-1)));
SELECT shop.state(cano.split('a', ARRAY['shop.work'], next => 'done', join => cano.partial(-1)));
SELECT shop.state(cano.split('a', ARRAY['shop.work'], next => 'done', join => cano.partial_timeout()));
SELECT shop.state(cano.split('a', ARRAY['shop.work'], next => 'done', bulkhead => 0));
SELECT shop.state(cano.split('a', ARRAY['shop.work', NULL], next => 'done'));
SELECT shop.state(cano.split('a', ARRAY[cano.branch('shop.work', timeout => '0')], next => 'done'));

-- Whole documents
SELECT shop.refusal('{"states": {}}');
SELECT shop.refusal('{"states": [], "start": "a"}');
SELECT shop.refusal('{"states": {"a": {"kind": "exit"}}, "strat": "a"}');
SELECT shop.refusal('{"states": {"a": {"kind": "exit"}, "b": {"kind": "exit"}}}');
SELECT shop.refusal('{"states": {"a": {"kind": "exit", "state": "b"}}}');
SELECT shop.refusal('{"states": {"a": {"kind": "exit"}}, "start": "a", "options": {"start": "b"}}');
SELECT shop.refusal('{"states": {"a": {"kind": "exit"}}}', cano.options());
SELECT shop.refusal(('{"states": {"a": ' || repeat('[', 1000) || repeat(']', 1000) || '}}')::jsonb);

SET client_min_messages = warning;
DROP SCHEMA shop CASCADE;
