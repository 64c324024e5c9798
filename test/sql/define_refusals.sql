-- What cano.define refuses, each time naming the state and the key.
\pset format unaligned
\pset tuples_only on
CREATE SCHEMA shop_refusals;
CREATE FUNCTION shop_refusals.work(data jsonb) RETURNS jsonb LANGUAGE sql RETURN data;
CREATE FUNCTION shop_refusals.choose(data jsonb) RETURNS text LANGUAGE sql RETURN 'done';
CREATE FUNCTION shop_refusals.ready() RETURNS boolean LANGUAGE sql RETURN true;
CREATE FUNCTION shop_refusals.due() RETURNS interval LANGUAGE sql RETURN '1 s'::interval;
CREATE FUNCTION shop_refusals.refusal(VARIADIC parts jsonb[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	v_message text;
	v_detail text;
	v_hint text;
BEGIN
	RETURN 'accepted as ' || cano.define('w_define_refusals', VARIADIC parts);
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS v_message = MESSAGE_TEXT, v_detail = PG_EXCEPTION_DETAIL, v_hint = PG_EXCEPTION_HINT;
	RETURN sqlstate || ' ' || concat_ws(' | ', v_message, nullif(v_detail, ''), nullif(v_hint, ''));
END $$;
-- One state that stands before an exit.
CREATE FUNCTION shop_refusals.state(part jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT shop_refusals.refusal(part, '{"kind": "exit", "state": "done"}') $$;
CREATE FUNCTION shop_refusals.options(part jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT shop_refusals.refusal('{"kind": "exit", "state": "done"}', part) $$;

-- The workflow as a whole
SELECT shop_refusals.refusal(VARIADIC '{}');
SELECT shop_refusals.refusal(cano.options());
SELECT shop_refusals.refusal(cano.task('a', 'shop_refusals.work', next => 'a'));
SELECT shop_refusals.refusal(cano.exit('a'), cano.exit('a'));
SELECT shop_refusals.refusal(cano.exit('a'), cano.exit('b'));
SELECT shop_refusals.refusal(cano.task('a', 'shop_refusals.work', next => 'done'), cano.task('b', 'shop_refusals.work', next => 'a'), cano.exit('done'));
SELECT shop_refusals.refusal(cano.exit('a'), cano.options(start => 'b'));
SELECT shop_refusals.refusal(cano.exit('a'), cano.options(), cano.options(keep => '1 day'), cano.options());
SELECT shop_refusals.refusal(cano.exit(''));
SELECT shop_refusals.refusal(cano.exit(repeat('x', 1001))) LIKE '%key "state" must have 1 to 1000 characters';
SELECT shop_refusals.refusal(cano.exit(NULL));
SELECT shop_refusals.refusal(NULL::jsonb);
SELECT shop_refusals.refusal(VARIADIC NULL);
SELECT shop_refusals.refusal('[]');
SELECT shop_refusals.refusal('{}');
SELECT shop_refusals.refusal('{"kind": "tusk", "state": "a"}');
SELECT cano.define('w_define_refusals');
SELECT cano.define(NULL, cano.exit('a'));
SELECT cano.define('', cano.exit('a'));

-- Where states lead
SELECT shop_refusals.state(cano.task('a', 'shop_refusals.work', next => 'nowhere'));
SELECT shop_refusals.state(cano.task('a', 'shop_refusals.work', targets => ARRAY['done', 'nowhere']));
SELECT shop_refusals.state(cano.task('a', 'shop_refusals.work', targets => '{}'));
SELECT shop_refusals.state(cano.task('a', 'shop_refusals.work'));
SELECT shop_refusals.state(cano.receive('a', signal => 's', on_timeout => 'nowhere', next => 'done'));
SELECT shop_refusals.state(cano.receive('a', signal => 's', on_timeout => 'done'));
SELECT shop_refusals.state(cano.child('a', 'w_define_refusals', on_failure => 'nowhere', next => 'done'));
SELECT shop_refusals.state(cano.split('a', ARRAY['shop_refusals.work'], next => 'nowhere'));
SELECT shop_refusals.state(cano.split('a', ARRAY['shop_refusals.work']));

-- Keys
SELECT shop_refusals.state('{"kind": "task", "state": "a", "run": "shop_refusals.work", "next": "done", "timout": "1 s"}');
SELECT shop_refusals.state('{"kind": "exit", "state": "a", "something": 1}');
SELECT shop_refusals.state('{"kind": "poll", "state": "a", "run": "shop_refusals.ready", "next": "done", "compensate": "shop_refusals.work"}');
SELECT shop_refusals.state('{"kind": "router", "state": "a", "run": "shop_refusals.choose", "compensate": "shop_refusals.work"}');
SELECT shop_refusals.state('{"kind": "batch", "state": "a", "load": "shop_refusals.work", "process": "shop_refusals.work", "compensate": "shop_refusals.work"}');
SELECT shop_refusals.state('{"kind": "split", "state": "a", "tasks": [], "next": "done", "compensate": "shop_refusals.work"}');
SELECT shop_refusals.state(cano.task('a', 'shop_refusals.work', next => 'done', compensate_retry => cano.none()));
SELECT shop_refusals.state('{"kind": "task", "state": "a", "next": "done"}');
SELECT shop_refusals.state(cano.task('a', 'shop_refusals.nothing', next => 'done'));
SELECT shop_refusals.state('{"kind": "task", "state": "a", "run": 5, "next": "done"}');
SELECT shop_refusals.state('{"kind": "task", "state": "a", "run": "shop_refusals.work", "next": ["done"]}');
SELECT shop_refusals.state('{"kind": "task", "state": "a", "run": "shop_refusals.work", "targets": "done"}');
SELECT shop_refusals.state('{"kind": "task", "state": "a", "run": "shop_refusals.work", "next": "done", "timeout": 5}');
SELECT shop_refusals.state('{"kind": "task", "state": "a", "run": "shop_refusals.work", "next": "done", "timeout": "soon"}');
SELECT shop_refusals.state('{"kind": "task", "state": "a", "run": "shop_refusals.work", "next": "done", "retry": 3}');
SELECT shop_refusals.state('{"kind": "task", "state": "a", "run": "shop_refusals.work", "next": "done", "retry": {"retries": 3}}');
SELECT shop_refusals.state('{"kind": "task", "state": "a", "run": "shop_refusals.work", "next": "done", "retry": {"policy": "fixd"}}');
SELECT shop_refusals.options('{"kind": "options", "prioritty": 5}');
SELECT shop_refusals.options('{"kind": "options", "priority": "high"}');
SELECT shop_refusals.options('{"kind": "options", "priority": 1.5}');
SELECT shop_refusals.options('{"kind": "options", "priority": 3000000000}');

-- Values
SELECT shop_refusals.state(cano.task('a', 'shop_refusals.work', next => 'done', timeout => '0'));
SELECT shop_refusals.state(cano.task('a', 'shop_refusals.work', next => 'done', timeout => '1 mon -31 days'));
SELECT shop_refusals.state(cano.task('a', 'shop_refusals.work', next => 'done', breaker => 'x'));
SELECT shop_refusals.state(cano.task('a', 'shop_refusals.work', next => 'done', limiter => 'x'));
SELECT shop_refusals.state(cano.task('a', 'shop_refusals.work', next => 'done', fatal_on => ARRAY['235']));
SELECT shop_refusals.state(cano.task('a', 'shop_refusals.work', next => 'done', fatal_on => ARRAY['42p01']));
SELECT shop_refusals.state(cano.task('a', 'shop_refusals.work', next => 'done', retry => cano.fixed(-1, '1 s')));
SELECT shop_refusals.state(cano.task('a', 'shop_refusals.work', next => 'done', retry => cano.fixed(1, '-1 s')));
SELECT shop_refusals.state(cano.task('a', 'shop_refusals.work', next => 'done', retry => cano.exponential(1, multiplier => 0)));
SELECT shop_refusals.state(cano.task('a', 'shop_refusals.work', next => 'done', retry => cano.exponential(1, multiplier => 'NaN')));
SELECT shop_refusals.state(cano.task('a', 'shop_refusals.work', next => 'done', retry => cano.exponential(1, jitter => 1.1)));
SELECT shop_refusals.state(cano.timer('a', next => 'done'));
SELECT shop_refusals.state(cano.timer('a', '1 s', run => 'shop_refusals.due', next => 'done'));
SELECT shop_refusals.state(cano.timer('a', '-1 s', next => 'done'));
SELECT shop_refusals.state(cano.timer('a', until => 'infinity', next => 'done'));
SELECT shop_refusals.state('{"kind": "timer", "state": "a", "until": "2030-01-31 12:00 Nowhere/Never", "next": "done"}');
SELECT shop_refusals.state(cano.exit('a', 'finished'));
SELECT shop_refusals.state(cano.poll('a', 'shop_refusals.ready', next => 'done', max_errors => -1));
SELECT shop_refusals.state(cano.batch('a', 'shop_refusals.work', 'shop_refusals.work', next => 'done', concurrency => -1));
SELECT shop_refusals.options(cano.options(concurrency => 0));
SELECT shop_refusals.options(cano.options(keep => '-1 day'));
SELECT shop_refusals.options(cano.options(timeout => '0'));
SELECT shop_refusals.options(cano.options(log => 'error'));
SELECT shop_refusals.options(cano.options(durability => 'none'));
SELECT shop_refusals.options(cano.options(on_timeout => 'ignore'));


-- The same by hand, which the constructors' types do not let through
SELECT shop_refusals.state('{"kind": "task", "state": "a", "run": "shop_refusals.work", "next": "done", "fatal_on": "23505"}');
SELECT shop_refusals.state('{"kind": "task", "state": "a", "run": "shop_refusals.work", "next": "done", "fatal_on": [23505]}');
SELECT shop_refusals.state('{"kind": "task", "state": "a", "run": "shop_refusals.work", "next": "done", "retry": {"policy": 3}}');
SELECT shop_refusals.state('{"kind": "task", "state": "a", "run": "shop_refusals.work", "next": "done", "retry": {"policy": "exponential", "retries": 1, "multiplier": 1e101}}');
SELECT shop_refusals.state('{"kind": "split", "state": "a", "tasks": "shop_refusals.work", "next": "done"}');
SELECT shop_refusals.state('{"kind": "split", "state": "a", "tasks": [{"run": "shop_refusals.work", "input": 5}], "next": "done"}');
SELECT shop_refusals.state('{"kind": "timer", "state": "a", "until": 2030, "next": "done"}');
SELECT shop_refusals.options('{"kind": "options", "log": 5}');
SELECT shop_refusals.options('{"kind": "options", "resources": "r"}');
SELECT shop_refusals.refusal('{"states": {"a": {"kind": "exit"}}, "options": 5}');
SELECT shop_refusals.refusal('{"states": {"a": {"kind": "exit"}}, "options": null, "start": null}');
SELECT shop_refusals.refusal('{"states": {"a": {"kind": "exit"}}, "options": {"kind": "exit"}}');
SELECT shop_refusals.refusal(jsonb_build_object('states', jsonb_build_object('a', '{"kind": "exit"}'::jsonb), 'x', repeat('x', 68000000)));

-- Functions of what is no state
SELECT shop_refusals.options(cano.options(on_end => 'shop_refusals.nothing'));
SELECT shop_refusals.options(cano.options(resources => ARRAY[cano.with_resource('r', setup => 'shop_refusals.nothing')]));

-- Splits
SELECT shop_refusals.state(cano.split('a', ARRAY['shop_refusals.work'], next => 'done', join => cano.percentage(0)));
SELECT shop_refusals.state(cano.split('a', ARRAY['shop_refusals.work'], next => 'done', join => cano.percentage(1.01)));
SELECT shop_refusals.state(cano.split('a', ARRAY['shop_refusals.work'], next => 'done', join => cano.percentage('NaN')));
SELECT shop_refusals.state(cano.split('a', ARRAY['shop_refusals.work'], next => 'done', join => cano.quorum(-1)));
SELECT shop_refusals.state(cano.split('a', ARRAY['shop_refusals.work'], next => 'done', join => cano.partial(-1)));
SELECT shop_refusals.state(cano.split('a', ARRAY['shop_refusals.work'], next => 'done', join => cano.partial_timeout()));
SELECT shop_refusals.state(cano.split('a', ARRAY['shop_refusals.work'], next => 'done', bulkhead => 0));
SELECT shop_refusals.state(cano.split('a', ARRAY['shop_refusals.work', NULL], next => 'done'));
SELECT shop_refusals.state(cano.split('a', ARRAY[cano.branch('shop_refusals.work', timeout => '0')], next => 'done'));

-- Whole documents
SELECT shop_refusals.refusal('{"states": {}}');
SELECT shop_refusals.refusal('{"states": [], "start": "a"}');
SELECT shop_refusals.refusal('{"states": {"a": {"kind": "exit"}}, "strat": "a"}');
SELECT shop_refusals.refusal('{"states": {"a": {"kind": "exit"}, "b": {"kind": "exit"}}}');
SELECT shop_refusals.refusal('{"states": {"a": {"kind": "exit", "state": "b"}}}');
SELECT shop_refusals.refusal('{"states": {"a": {"kind": "exit"}}, "start": "a", "options": {"start": "b"}}');
SELECT shop_refusals.refusal('{"states": {"a": {"kind": "exit"}}}', cano.options());
SELECT shop_refusals.refusal(('{"states": {"a": ' || repeat('[', 1000) || repeat(']', 1000) || '}}')::jsonb);

SET client_min_messages = warning;
DROP SCHEMA shop_refusals CASCADE;
