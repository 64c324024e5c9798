/*
 * Writes reference.md: from the comments in the catalog, from pg_settings, and
 * from the errors that the sources raise.  To be run by a superuser at the top
 * of the tree, in a database that has cano or can have it; it leaves nothing
 * behind:
 *
 *	psql -XAtq -f docs/reference.sql -o docs/reference.md
 *
 * Written by hand are only what stands here: prefaces, which function belongs
 * to which subject, and what to know about each SQLSTATE.  Whatever has no
 * place here is an error.
 */
\set ON_ERROR_STOP on
SET client_encoding = 'UTF8';
SET client_min_messages = warning;
BEGIN;
LOAD 'cano';
CREATE EXTENSION IF NOT EXISTS cano;
SET LOCAL search_path = pg_catalog, pg_temp;
SET LOCAL IntervalStyle = postgres;

\set c `cat src/*.c`
\set scripts `cat sql/[0-9]*.sql`

-- ---- What is written by hand ----

CREATE TEMP TABLE subject (ordinal integer GENERATED ALWAYS AS IDENTITY, title text, names text[]);
INSERT INTO subject (title, names) VALUES
	('Definitions', '{define,definition}'),
	('States', '{task,router,split,stepped,poll,batch,timer,receive,child,external,exit}'),
	('Parts of definitions', '{options,branch,with_resource}'),
	('Retry policies', '{none,fixed,exponential}'),
	('Joins', '{all,any,quorum,percentage,partial,partial_timeout}'),
	('Runs', '{submit,submit_info,submit_many,signal,cancel,resume,compensate,work,orchestrate}'),
	('Waiting and looking', '{wait,await,status,result}'),
	('Pictures', '{explain,timeline,mermaid,report}'),
	('Outcomes of tasks', '{next,more,pending,failed,cancelled}'),
	('Inside a task', '{run_id,state,attempt,data,idempotency_key,put,get,append,remove,keys,progress,resource,cancel_requested}'),
	('Clients outside', '{take,complete,fail,extend}'),
	('Breakers and limiters', '{create_breaker,drop_breaker,create_limiter,drop_limiter}'),
	('Observers', '{observe,unobserve}'),
	('Schedules', '{schedule,unschedule}'),
	('Administration', '{grant_usage,revoke_usage,pause,unpause,purge,check_resources,health,metrics,prometheus,adopt}'),
	('Views', '{workflows,states,runs,checkpoints,compensations,attempts,branches,items,signals,events,dead_letters,ongoing,queue_stats,activity,workers,breakers,limiters,observers,schedules}');

CREATE TEMP TABLE explanation (sqlstate text, about text, retried text, advice text);
INSERT INTO explanation VALUES
	('CN001', 'What is wrong with a definition, said by cano.define and the constructors, or with an argument of another function. The messages of definitions begin with where it is.',
		'no; nothing was stored.', 'Correct the call.'),
	('CN002', 'A run cannot go on as it is defined: a task named no state, or one that is not there or not among its targets, or returned an outcome that its kind does not know; a function, breaker or limiter has gone; a split was out of time or its join was not met; the run came to an exit whose outcome is not completed. Also raised for functions that answer only inside a task, and for states that do not exist.',
		'no.', 'Mend the function and use cano.resume, or define the workflow anew and use cano.resume(run, version => ..., force => true).'),
	('CN003', 'A task raised an error, or returned cano.failed(). The recorded error has the SQLSTATE that the task raised; cano.wait raises CN003 and says that one in the DETAIL.',
		'by the state''s policy; not if the task returned cano.failed(), and not a panic: SQLSTATE class XX, or P0004.', 'See cano.attempts. When the cause is mended: cano.resume.'),
	('CN004', 'A task failed in every attempt that its state allows. The message says after how many, followed by the last error''s; the recorded SQLSTATE is that error''s.',
		'it was.', 'See cano.attempts. When the cause is mended: cano.resume.'),
	('CN005', 'An attempt took longer than the timeout of its state (in a worker also: than the role''s statement_timeout), a client''s lease expired, a signal did not come in time, or a rollback took longer than compensation_timeout.',
		'attempts and leases by the state''s policy; what waited for a signal is not, nor is a rollback.', 'Allow more time, or let the task do less at once: cano.stepped, cano.batch.'),
	('CN006', 'An open breaker refused an attempt.',
		'no: the run fails at once.', 'See cano.breakers. When what it protects works again: cano.resume.'),
	('CN007', 'cano.resume has nothing to go on from: the run''s log is cleared, or it entered no state that leaves a checkpoint.',
		'no.', 'Submit another run.'),
	('CN008', 'Some compensation failed in a rollback, so that the run is rolled back in part. Its error has all of them under errors. Also raised by cano.resume for such a run.',
		'compensations by compensate_retry.', 'See cano.compensations. When the cause is mended: cano.compensate; or go forward by cano.resume(run, force => true).'),
	('CN009', 'cano.resume was given another version than the run''s own.',
		'no.', 'Say force => true if the run is to go on with that version.'),
	('CN010', 'A task asked for a resource that its workflow has not, or used a key or value that the run''s store does not take.',
		'by the state''s policy.', 'Correct the task or the definition.'),
	('CN011', 'A run was not at its end when options(timeout) was over. The message begins with Workflow timeout.',
		'no. The run is rolled back, or with on_timeout => ''abandon'' left as it is.', 'cano.resume lets an abandoned run go on, with all of its time again.'),
	('CN012', 'A run was cancelled, by cano.cancel, by a task, or with its parent. The message is the reason.',
		'no.', 'If nothing had to be undone it can be resumed.'),
	('CN013', 'Reserved. Nothing raises it: a limiter lets attempts wait instead of refusing them.',
		NULL, NULL),
	('CN014', 'There is no value for a parameter of a function: its name is not reserved, not a key of the run''s data, and it has no default. Or the data have no input for a child.',
		'no.', 'cano.resume(run, data => ...) adds the key; or give the parameter a default.'),
	('CN015', 'A job took its session or the server down as often as cano.max_crashes says, and its run was given up.',
		'after each crash but the last, without consuming an attempt.', 'The server''s log says what happened. When the cause is mended: cano.resume.'),
	('CN404', 'There is no such run, workflow, version, breaker, limiter or schedule, or it belongs to a role whose runs the caller may not see.',
		'no.', 'Correct the name, or ask the owner.'),
	('CN408', 'cano.wait or cano.await waited in vain.',
		NULL, 'The run goes on: wait again. cano.explain(run) says what the run is waiting for.'),
	('CN409', 'A key is in use by a run that is under way: cano.submit was given another input, or cano.resume would let a second run go on with it.',
		'no.', 'Wait for that run, or take another key.'),
	('CN900', 'A task said that trying again would not help: RAISE ... USING ERRCODE = ''CN900'', or a SQLSTATE of the state''s fatal_on, or cano.fail(..., retry => false). The recorded SQLSTATE is the task''s.',
		'no.', 'When the cause is mended: cano.resume.'),
	('0A000', 'A task cannot LISTEN: its session serves others after it.',
		'by the state''s policy, as any error of a task.', 'Take it out of the task.'),
	('22004', 'A key or a number is null, or a function of a timer returned null.',
		'in a task by the state''s policy; a timer is not.', 'Correct the function.'),
	('22008', 'A point in time is beyond what there is, or a timer would wait for ever.',
		'a timer''s function is not.', 'Correct it; cano.receive waits for ever.'),
	('22023', 'A row of type cano.outcome was not built by cano''s functions, a health function returned no status, or an argument is out of range.',
		'in a task by the state''s policy.', 'Correct the function.'),
	('28000', 'A worker could not become its role. In the server''s log.',
		'a worker is started again while there is work.', 'See cano.health().'),
	('2D000', 'cano.await, cano.work and cano.orchestrate commit, and so cannot be called in a transaction block or function.',
		NULL, 'CALL them by themselves; in a function use cano.wait.'),
	('39P01', 'The function that guards the private tables was called by hand.',
		NULL, 'Do not.'),
	('40001', 'A step came in the way of others that share its commit, or of another session. None of it is left.',
		'at once, alone, without consuming an attempt. A task''s own 40001 and 40P01 are tried again so five times.', 'Nothing, unless a task of one''s own catches it: let it pass.'),
	('42501', 'A role may not do that: not its workflow, breaker, limiter, observer or schedule; it may not log in, which whoever has runs must; or a function was called in a security-restricted operation, such as an index or REFRESH MATERIALIZED VIEW.',
		'in a task by the state''s policy.', 'Let the owner do it, or a member of that role after SET ROLE.'),
	('42704', 'A role was dropped while its session or worker went on.',
		NULL, 'cano.health() says what is left of its work.'),
	('42804', 'The load function of a batch returned JSON that is no array.',
		'by the state''s policy.', 'Correct the function.'),
	('42883', 'pg_cron is too old.',
		NULL, 'Install 1.4 or newer.'),
	('53000', 'No process is left for a worker. A warning in the server''s log.',
		'work waits until there is one.', 'Raise max_worker_processes, or lower cano.max_workers.'),
	('53400', 'More roles have work than shared memory has places. In the server''s log.',
		'the rest is looked at later.', 'Let fewer roles have runs.'),
	('54000', 'A value is larger than cano.max_value_size, or a batch has too many items.',
		'in a task by the state''s policy.', 'Keep large values in a table, and a key to them in the data.'),
	('55000', 'Things are not as they must be: a transaction waits for a run that it has submitted, a task for its own; the extension is of another version than its library, or not here; pg_cron is not here; a schedule came with a copy of another database.',
		'in a task by the state''s policy.', 'The HINT says what to do.'),
	('55006', 'cano.work or cano.orchestrate was called in a session that is a worker already.',
		NULL, 'Use cano.submit, or a cano.child state.'),
	('57014', 'The time of an attempt is over, or that of an observer. For an attempt CN005 is recorded.',
		'see CN005. An observer''s is logged, and not tried again.', 'Allow more time, or do less.'),
	('XX001', 'The file in which cano notes what was running when the server went down could not be read. In the server''s log.',
		'it is made anew.', 'Look after the disk.');

-- ---- What is found ----

CREATE TEMP VIEW function AS
SELECT p.oid, p.proname AS name, obj_description(p.oid, 'pg_proc') AS said
FROM pg_proc p
WHERE p.pronamespace = 'cano'::regnamespace AND p.proname NOT LIKE '\_%';

CREATE TEMP VIEW relation AS
SELECT c.oid, c.relname AS name, obj_description(c.oid, 'pg_class') AS said
FROM pg_class c
WHERE c.relnamespace = 'cano'::regnamespace AND c.relkind = 'v' AND c.relname NOT LIKE '\_%';

CREATE TEMP VIEW parameter AS
SELECT p.oid, a.n, a.name, coalesce(p.proargmodes[a.n], 'i') AS mode,
	concat_ws(' ', CASE p.proargmodes[a.n] WHEN 'b' THEN 'INOUT' WHEN 'v' THEN 'VARIADIC' END, a.name, format_type(a.type, NULL),
		'DEFAULT ' || regexp_replace(pg_get_function_arg_default(p.oid, a.n::integer), '::[a-z ]+(\[])?$', '')) AS declared
FROM pg_proc p, unnest(coalesce(p.proallargtypes, p.proargtypes::oid[]), p.proargnames) WITH ORDINALITY a (type, name, n);

-- A string of C, which may have several parts, as one reads it.
CREATE FUNCTION pg_temp.c_text(parts text) RETURNS text LANGUAGE sql IMMUTABLE
BEGIN ATOMIC
	SELECT regexp_replace(replace(substring(j.joined FROM '^\s*"(.*)"\s*$'), '\q', '"'), '(%[a-z]*[dsum])+', '…', 'g')
	FROM regexp_replace(regexp_replace(replace(parts, '\"', '\q'), '\s*INT64_FORMAT\s*', '"%d"', 'g'), '"\s*"', '', 'g') j (joined);
END;

-- Statements that raise or record an error.
CREATE TEMP TABLE raised AS
WITH statement (made) AS (
	SELECT substring(s FROM '(?:ereport|cano_error_make|cano_value_refuse)\(.*$')
	FROM string_to_table(:'c', E';\n') s
), found AS (
	SELECT coalesce(substring(made FROM 'errcode\((ERRCODE_\w+)'), substring(made FROM '(?:errcode|cano_error_make)\((CANO_CAT_\w+)'),
			CASE WHEN made LIKE 'cano_value_refuse%' THEN 'CANO_CAT_CONFIGURATION' END) AS code,
		CASE WHEN made LIKE 'cano_value_refuse%'
			THEN '…: ' || pg_temp.c_text((SELECT g[1] FROM regexp_matches(made, '((?:"(?:[^"\\]|\\.)*"\s*)+)', 'g') WITH ORDINALITY m (g, n)
				WHERE g[1] LIKE '% %' ORDER BY n DESC LIMIT 1))
			ELSE pg_temp.c_text(substring(made FROM '^(?:ereport.*errmsg\w*|cano_error_make)\((?:CANO_CAT_\w+,)?\s*((?:"(?:[^"\\]|\\.)*"|INT64_FORMAT|\s)+)'))
		END AS message
	FROM statement
)
SELECT f.code, f.message FROM found f WHERE f.code IS NOT NULL AND f.message IS NOT NULL
UNION ALL
SELECT r[2], replace(r[1], '%', '…')
FROM regexp_matches(:'scripts', 'RAISE EXCEPTION ''([^'']*)''[^;]*ERRCODE = ''(\w+)''', 'g') r;

CREATE TEMP TABLE given AS
SELECT coalesce(r[1], r[2]) AS code
FROM regexp_matches(:'c' || :'scripts', 'errcode\((ERRCODE_\w+)|ERRCODE = ''(\w+)', 'g') r;

-- The names of PostgreSQL's own are known to PL/pgSQL.
CREATE FUNCTION pg_temp.sqlstate_of(condition text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	RAISE USING ERRCODE = condition;
EXCEPTION WHEN OTHERS OR query_canceled THEN
	RETURN CASE WHEN SQLERRM = condition THEN SQLSTATE END;
END $$;

CREATE TEMP TABLE error AS
WITH category AS (
	SELECT 'CANO_CAT_' || r[1] AS code, r[2] AS name, r[3] AS sqlstate
	FROM regexp_matches(:'c', '\[CANO_CAT_(\w+)\] = \{"(\w+)", "(\w+)"\}', 'g') r
), own AS (
	SELECT DISTINCT r.code, CASE n.name WHEN 'datetime_value_out_of_range' THEN 'datetime_field_overflow' ELSE n.name END AS name
	FROM raised r, regexp_replace(lower(r.code), '^(errcode_)?(t_r_|e_r_i_e_)?', '') n (name)
	WHERE NOT EXISTS (SELECT FROM category c WHERE r.code IN (c.code, c.sqlstate))
)
SELECT c.* FROM category c
UNION ALL
SELECT o.code, o.name, pg_temp.sqlstate_of(o.name) FROM own o;

DO $$
DECLARE
	v_missing text;
BEGIN
	SELECT string_agg(m.what, E'\n' ORDER BY m.what) INTO v_missing
	FROM (
		SELECT 'no subject: ' || n.name
		FROM (SELECT f.name FROM function f UNION SELECT r.name FROM relation r) n
		WHERE (SELECT count(*) FROM subject s WHERE n.name = ANY (s.names)) = 0
		UNION ALL
		SELECT 'neither function nor view: ' || n
		FROM subject s, unnest(s.names) n
		WHERE NOT EXISTS (SELECT FROM function f WHERE f.name = n) AND NOT EXISTS (SELECT FROM relation r WHERE r.name = n)
		UNION ALL
		SELECT 'no SQLSTATE known: ' || e.code FROM error e WHERE e.sqlstate IS NULL
		UNION ALL
		-- That one is raised to become CN001.
		SELECT DISTINCT 'no message found: ' || g.code FROM given g
		WHERE g.code <> 'ERRCODE_INVALID_DATETIME_FORMAT' AND NOT EXISTS (SELECT FROM raised r WHERE r.code = g.code)
		UNION ALL
		SELECT 'no explanation: ' || e.sqlstate FROM error e WHERE e.sqlstate NOT IN (SELECT x.sqlstate FROM explanation x)
		UNION ALL
		SELECT 'explained and never raised: ' || x.sqlstate FROM explanation x WHERE x.sqlstate NOT IN (SELECT e.sqlstate FROM error e WHERE e.sqlstate IS NOT NULL)
	) m (what);
	IF v_missing IS NOT NULL THEN
		RAISE EXCEPTION 'docs/reference.sql must be brought up to date' USING DETAIL = v_missing;
	END IF;
END $$;

-- ---- The page ----

-- What is code in a comment.
CREATE FUNCTION pg_temp.marked(said text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN regexp_replace(said, '\mcano\.[a-z_]+(\([^()]*\))?', '`\&`', 'g');

CREATE FUNCTION pg_temp.sentences(said text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN pg_temp.marked(CASE WHEN said LIKE 'cano.%' THEN said ELSE upper(left(said, 1)) || substr(said, 2) END || CASE WHEN said ~ '[.?]$' THEN '' ELSE '.' END);

-- A comment: prose, then a line or more for each of the parameters.
CREATE FUNCTION pg_temp.described(function oid, said text) RETURNS text LANGUAGE sql STABLE
BEGIN ATOMIC
	WITH line AS (
		SELECT l.line, l.n, p.name, count(p.name) OVER (ORDER BY l.n) AS paragraph
		FROM string_to_table(said, E'\n') WITH ORDINALITY l (line, n)
		LEFT JOIN parameter p ON p.oid = function AND l.line LIKE replace(p.name, '_', '\_') || ': %'
	)
	SELECT string_agg(p.text, E'\n' ORDER BY p.paragraph)
	FROM (
		SELECT l.paragraph, CASE l.paragraph WHEN 0 THEN pg_temp.sentences(string_agg(l.line, E'\n' ORDER BY l.n)) ||
				CASE WHEN EXISTS (SELECT FROM line o WHERE o.paragraph > 0) THEN E'\n' ELSE '' END
			ELSE '- `' || max(l.name) || '`' || pg_temp.marked(substr(string_agg(l.line, E'\n  ' ORDER BY l.n), length(max(l.name)) + 1))
			END AS text
		FROM line l GROUP BY l.paragraph) p;
END;

CREATE FUNCTION pg_temp.signature(function oid) RETURNS text LANGUAGE sql STABLE
BEGIN ATOMIC
	SELECT CASE WHEN length(o.line) <= 110 THEN o.line ELSE o.lines END ||
		CASE WHEN p.prokind = 'p' THEN '' WHEN o.columns IS NULL THEN E'\nRETURNS ' || pg_get_function_result(p.oid)
			WHEN p.proretset THEN E'\nRETURNS TABLE (' || o.columns || ')' ELSE E'\nRETURNS (' || o.columns || ')' END
	FROM pg_proc p, LATERAL (
		SELECT format('%scano.%s(%s)', c.call, p.proname, coalesce(string_agg(a.declared, ', ' ORDER BY a.n) FILTER (WHERE a.mode <> 'o'), '')) AS line,
			format(E'%scano.%s(\n    %s)', c.call, p.proname, string_agg(a.declared, E',\n    ' ORDER BY a.n) FILTER (WHERE a.mode <> 'o')) AS lines,
			string_agg(a.declared, ', ' ORDER BY a.n) FILTER (WHERE a.mode = 'o') AS columns
		FROM (SELECT CASE p.prokind WHEN 'p' THEN 'CALL ' ELSE '' END) c (call)
		LEFT JOIN parameter a ON a.oid = p.oid
		GROUP BY c.call) o
	WHERE p.oid = function;
END;

CREATE FUNCTION pg_temp.columns(relation oid) RETURNS text LANGUAGE sql STABLE
BEGIN ATOMIC
	SELECT E'| column | type | |\n|---|---|---|\n' || string_agg(format('| `%s` | %s | %s |', a.attname, format_type(a.atttypid, a.atttypmod),
		pg_temp.marked(col_description(a.attrelid, a.attnum))), E'\n' ORDER BY a.attnum)
	FROM pg_attribute a WHERE a.attrelid = relation AND a.attnum > 0 AND NOT a.attisdropped;
END;

-- A number of pg_settings in the largest unit that divides it.
CREATE FUNCTION pg_temp.amount(value text, unit text) RETURNS text LANGUAGE sql IMMUTABLE
RETURN CASE WHEN unit IS NULL OR value = '0' THEN value
	WHEN unit = 'ms' AND value::bigint % 60000 = 0 THEN value::bigint / 60000 || ' min'
	WHEN unit = 'ms' AND value::bigint % 1000 = 0 THEN value::bigint / 1000 || ' s'
	WHEN unit = 'kB' AND value::bigint % 1024 = 0 THEN value::bigint / 1024 || ' MB'
	ELSE value || ' ' || unit END;

SELECT '# Reference

Every function, view, setting and error of cano. `docs/reference.sql` writes this page from the comments in the catalog, so psql
has the same text: `\df+ cano.submit` (after `\x`), `\d+ cano.runs`. The README says how it all belongs together.

Parameters can be given by name: `cano.submit(''order'', key => ''A-17'')`. What is null by default can be left out. Intervals are
PostgreSQL''s. Names of workflows, states, keys, signals, queues, breakers and so on are texts of 1 to 1,000 characters.
';

SELECT '- [' || s.title || '](#' || replace(lower(s.title), ' ', '-') || '): ' || string_agg('`' || n.name || '`', ', ' ORDER BY n.n)
FROM subject s, unnest(s.names) WITH ORDINALITY n (name, n)
GROUP BY s.ordinal, s.title ORDER BY s.ordinal;
SELECT E'- [Types](#types), [Metrics](#metrics), [Settings](#settings), [Errors](#errors)\n';

SELECT CASE WHEN s.title = 'Views' THEN E'## Views\n\nEverybody sees their own: the runs of roles that the reader is a member of.\n' ELSE '## ' || s.title || E'\n' END ||
	E'\n' || string_agg(format(E'### cano.%s\n\n%s\n', n.name, o.text), E'\n' ORDER BY n.n)
FROM subject s, unnest(s.names) WITH ORDINALITY n (name, n), LATERAL (
	SELECT string_agg(format(E'```\n%s\n```\n\n%s', pg_temp.signature(f.oid), pg_temp.described(f.oid, f.said)), E'\n\n' ORDER BY f.oid) AS text
	FROM function f WHERE f.name = n.name AND s.title <> 'Views'
	UNION ALL
	SELECT format(E'%s\n\n%s', pg_temp.sentences(r.said), pg_temp.columns(r.oid))
	FROM relation r WHERE r.name = n.name AND s.title = 'Views') o
WHERE o.text IS NOT NULL
GROUP BY s.ordinal, s.title ORDER BY s.ordinal;

SELECT E'## Types\n';
SELECT format(E'### cano.%s\n\n%s\n\n%s\n', t.typname, pg_temp.sentences(obj_description(t.oid, 'pg_type')), pg_temp.columns(t.typrelid))
FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid AND c.relkind = 'c'
WHERE t.typnamespace = 'cano'::regnamespace
ORDER BY t.typname COLLATE "C";

SELECT E'## Metrics\n\n`cano.metrics()` and `cano.prometheus()` have these series.\n\n| series | type | |\n|---|---|---|';
SELECT format('| `%s` | %s | %s |', m.name, m.type, m.help) FROM cano._metrics m ORDER BY m.name COLLATE "C";

SELECT E'\n## Settings\n\n| setting | default | values | takes effect | |\n|---|---|---|---|---|';
SELECT format('| `%s` | %s | %s | %s | %s |', g.name, pg_temp.amount(g.boot_val, g.unit),
	CASE g.vartype WHEN 'bool' THEN 'on, off' WHEN 'enum' THEN array_to_string(g.enumvals, ', ')
		ELSE pg_temp.amount(g.min_val, g.unit) || ' to ' || pg_temp.amount(g.max_val, g.unit) END,
	CASE g.context WHEN 'sighup' THEN 'on reload' WHEN 'postmaster' THEN 'at restart' ELSE 'at once' END,
	pg_temp.marked(concat_ws(' ', g.short_desc, g.extra_desc)))
FROM pg_settings g
WHERE g.name LIKE 'cano.%' AND g.name NOT LIKE 'cano.debug%'
ORDER BY g.name COLLATE "C";

SELECT '
## Errors

What a run ended with is in the column `error` of `cano.runs`: its `category` and `sqlstate`, `message`, `detail`, `hint`, `context`,
`state`, `task`, `attempts`; after a rollback that failed in part also `errors`, a list. `cano.wait`, `cano.await` and `cano.orchestrate` raise it
again with the SQLSTATE of its category. What a task''s function raises is recorded as the task''s, under the SQLSTATE that it
raised, whichever that is. Each failed attempt is in `cano.attempts`.

Of what other parts of PostgreSQL raise nothing is said here. In the messages … stands for what differs.
';
SELECT format(E'### %s %s\n\n%s\n\n%s', e.sqlstate, min(e.name), pg_temp.marked(x.about),
	concat(E'- Retried: ' || pg_temp.marked(x.retried) || E'\n', '- What to do: ' || pg_temp.marked(x.advice) || E'\n',
	E'\n```\n' || string_agg(DISTINCT r.message, E'\n' ORDER BY r.message) || E'\n```\n'))
FROM error e
JOIN explanation x ON x.sqlstate = e.sqlstate
LEFT JOIN LATERAL (
	SELECT m.message COLLATE "C" FROM raised m
	WHERE m.code IN (e.code, e.sqlstate) AND m.message ~ '[a-z]{2}.*[^a-z_][a-z]{2}' AND m.message NOT LIKE '%… …') r ON true
GROUP BY e.sqlstate, x.about, x.retried, x.advice
ORDER BY e.sqlstate NOT LIKE 'CN%', e.sqlstate COLLATE "C";

ROLLBACK;
