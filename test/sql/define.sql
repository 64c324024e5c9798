-- What the constructors build, and the document that comes of it.
\pset format unaligned
\pset tuples_only on
CREATE SCHEMA shop_define;
CREATE FUNCTION shop_define.work(data jsonb) RETURNS jsonb LANGUAGE sql RETURN data;
CREATE FUNCTION shop_define.undo(data jsonb) RETURNS void LANGUAGE sql AS '';
CREATE FUNCTION shop_define.choose(data jsonb) RETURNS text LANGUAGE sql RETURN 'done';
CREATE FUNCTION shop_define.verdict(data jsonb) RETURNS cano.outcome LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
CREATE FUNCTION shop_define.ready() RETURNS boolean LANGUAGE sql RETURN true;
CREATE FUNCTION shop_define.due() RETURNS interval LANGUAGE sql RETURN '1 s'::interval;
CREATE FUNCTION shop_define.items() RETURNS SETOF integer LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION shop_define.item(jsonb) RETURNS jsonb LANGUAGE sql RETURN $1;
CREATE FUNCTION shop_define.twin(a integer) RETURNS integer LANGUAGE sql RETURN a;
CREATE FUNCTION shop_define.twin(a text) RETURNS text LANGUAGE sql RETURN a;

-- Constructors leave out what is not given.
SELECT cano.none();
SELECT cano.fixed(3, '1 min');
SELECT cano.exponential(3);
SELECT cano.exponential(5, base => '200 ms', multiplier => 1.5, max => '1 min', jitter => 0);
SELECT cano.all(), cano.any(), cano.partial_timeout();
SELECT cano.quorum(2), cano.partial(1), cano.percentage(0.5);
SELECT cano.task('a', 'f');
SELECT cano.timer('a', until => '2030-01-31 12:00:00+02');
SELECT cano.exit('a');
SELECT cano.options();
SELECT cano.with_resource('rates', '{"a": null}');

-- They mean the same under any settings.
SET IntervalStyle = 'sql_standard';
SET DateStyle = 'German, DMY';
SET TimeZone = 'Asia/Tokyo';
SELECT cano.timer('a', delay => '-1 day 02:00');
SELECT cano.timer('a', until => '2030-01-31 12:00:00+02');
SELECT cano.define('define settings', cano.timer('a', delay => '1 mon 36:00', next => 'b'),
	cano.timer('b', until => '2030-01-31 12:00:00.5+02', next => 'c'), cano.exit('c'));
RESET IntervalStyle;
RESET DateStyle;
RESET TimeZone;
SELECT cano.definition('define settings');
SELECT cano.define('define settings', cano.definition('define settings'));

-- Every kind of state with every argument.
SELECT cano.define('define every kind',
	cano.task('task', 'shop_define.work', next => 'router', targets => ARRAY['done'], compensate => 'shop_define.undo',
		compensate_retry => cano.fixed(2, '0'), retry => cano.none(), timeout => '30 s',
		output_key => 'out', fatal_on => ARRAY['23', '42P01']),
	cano.router('router', 'shop_define.choose', targets => ARRAY['split', 'names'],
		retry => cano.exponential(0), timeout => '1 s'),
	cano.split('split', ARRAY[cano.branch('shop_define.work', retry => cano.none(), timeout => '1 s',
		input => '{"a": 1}'), cano.branch('shop_define.verdict')],
		join => cano.percentage(0.5), next => 'stepped', timeout => '1 min', bulkhead => 2, output_key => 'out'),
	cano.split('names', ARRAY['shop_define.work', 'shop_define.undo'], join => cano.quorum(3), next => 'stepped'),
	cano.stepped('stepped', 'shop_define.verdict', next => 'poll', targets => ARRAY['poll'],
		retry => cano.fixed(1, '1 s'), timeout => '1 s', compensate => 'shop_define.undo'),
	cano.poll('poll', 'shop_define.ready', next => 'batch', targets => ARRAY['batch'], max_errors => 2,
		timeout => '1 s', retry => cano.fixed(1, '1 s')),
	cano.batch('batch', load => 'shop_define.items', process => 'shop_define.item', finish => 'shop_define.work', next => 'timer',
		targets => ARRAY['timer'], concurrency => 8, item_retry => cano.fixed(1, '1 s'),
		retry => cano.none(), timeout => '1 s'),
	cano.timer('timer', run => 'shop_define.due', next => 'receive'),
	cano.receive('receive', signal => 'go', next => 'child', timeout => '1 day', on_timeout => 'failed', output_key => 'out'),
	cano.child('child', 'other', next => 'external', input_key => 'in', output_key => 'out', on_failure => 'failed'),
	cano.external('external', queue => 'q', next => 'done', targets => ARRAY['stopped'], compensate => 'shop_define.undo',
		retry => cano.fixed(1, '1 s'), timeout => '1 h'),
	cano.exit('done'), cano.exit('failed', outcome => 'failed'), cano.exit('stopped', 'cancelled'),
	cano.options(start => 'task', timeout => '30 days', on_timeout => 'abandon', compensation_timeout => '1 min',
		retry => cano.exponential(1), priority => -5, concurrency => 10, keep => '90 days', log => 'all',
		on_end => 'shop_define.undo', resources => ARRAY[cano.with_resource('rates', '{"eur": null}',
			setup => 'shop_define.work', teardown => 'shop_define.undo', health => 'shop_define.ready')], durability => 'async'));
SELECT s.key, s.value FROM jsonb_each(cano.definition('define every kind') -> 'states') s ORDER BY s.key COLLATE "C";
SELECT cano.definition('define every kind') - 'states';
SELECT cano.define('define every kind', cano.definition('define every kind'));

-- Defaults, nulls and the way of writing make no difference.
SELECT cano.define('define plain', cano.task('work', 'shop_define.work', next => 'poll', timeout => '90 s'),
	cano.poll('poll', 'shop_define.ready', next => 'batch'),
	cano.batch('batch', 'shop_define.items', 'shop_define.item', next => 'split', concurrency => 0),
	cano.split('split', ARRAY['shop_define.work'], next => 'done'), cano.exit('done'));
SELECT cano.define('define plain', $${
	"start": "work",
	"states": {
		"work": {"kind": "task", "state": "work", "run": "shop_define.work", "next": "poll", "timeout": "00:01:30", "retry": null},
		"poll": {"kind": "poll", "run": "shop_define.ready", "next": "batch", "max_errors": 0, "retry": {"policy": "none"}},
		"batch": {"kind": "batch", "load": "shop_define.items", "process": "shop_define.item", "next": "split", "concurrency": 1.0},
		"split": {"kind": "split", "tasks": [{"run": "shop_define.work"}], "next": "done"},
		"done": {"kind": "exit", "outcome": "completed"}},
	"options": {"kind": "options", "start": "work", "log": "errors", "durability": "sync", "on_timeout": "compensate"}}$$);
SELECT cano.definition('define plain');

-- Functions are found by the definer's search_path and kept by their full names.
SET search_path = shop_define;
SELECT cano.define('define names', cano.task('a', 'work', next => 'b'), cano.task('b', 'twin(integer)', next => 'c'),
	cano.task('c', '"twin"( text )', next => 'd'), cano.exit('d'));
RESET search_path;
SELECT s.value ->> 'run' FROM jsonb_each(cano.definition('define names') -> 'states') s WHERE s.value ? 'run' ORDER BY s.key;
SELECT cano.define('define names', cano.definition('define names'));

-- A workflow of nothing but exits, of one state, with names that need quotes.
SELECT cano.define('define it''s a "name"; -- ü', cano.exit('"; DROP'), cano.options(start => '"; DROP'));
SELECT cano.definition('define it''s a "name"; -- ü');
SELECT cano.define('define one', '{"states": {"end": {"kind": "exit"}}}');

-- A state may lead anywhere: a router, or one whose function returns an outcome.
SELECT cano.define('define anywhere', cano.router('r', 'shop_define.choose'), cano.exit('a'), cano.exit('b'));
SELECT cano.define('define anywhere', cano.task('t', 'shop_define.verdict', next => 'a'), cano.exit('a'), cano.exit('b'));
SELECT cano.define('define loop', cano.task('t', 'shop_define.work', next => 't', targets => ARRAY['a', 't']), cano.exit('a'));

-- More branches asked for than there are, and none at all.
SELECT cano.define('define branches', cano.split('s', '{}'::text[], join => cano.partial(5), next => 'a'), cano.exit('a'));

SET client_min_messages = warning;
DROP SCHEMA shop_define CASCADE;
