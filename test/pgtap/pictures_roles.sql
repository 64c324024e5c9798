-- Whoever looks sees in pictures what he sees in the views, and no more.
\ir lib/start.psql
SELECT plan(21);

CREATE SCHEMA t_seen;
CREATE ROLE t_seen_alice LOGIN;
CREATE ROLE t_seen_bob LOGIN;
CREATE ROLE t_seen_group LOGIN;
GRANT t_seen_group TO t_seen_alice;
SELECT cano.grant_usage('t_seen_alice'), cano.grant_usage('t_seen_bob'), cano.grant_usage('t_seen_group') \g /dev/null
GRANT USAGE, CREATE ON SCHEMA t_seen TO t_seen_alice, t_seen_bob, t_seen_group;

SET SESSION AUTHORIZATION t_seen_group;
CREATE FUNCTION t_seen.raise(secret text) RETURNS void LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''%'', secret; END';
SELECT cano.define('t_seen', cano.task('a', 't_seen.raise', retry => cano.none(), next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_seen', '{"secret": "group secret"}', key => 'group key') AS of_group \gset
CALL cano.work();
SET SESSION AUTHORIZATION t_seen_bob;
CREATE FUNCTION t_seen.own(secret text) RETURNS void LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''%'', secret; END';
SELECT cano.define('t_seen own', cano.task('a', 't_seen.own', retry => cano.none(), next => 'end'), cano.exit('end')) AS v \gset
SELECT cano.submit('t_seen own', '{"secret": "own secret"}') AS of_bob \gset
CALL cano.work();

-- Bob
SELECT throws_ok(format(call, :of_group), 'CN404', format('run %s does not exist', :of_group), format(call, 'of another role') || ' is as unknown')
FROM unnest(ARRAY['SELECT cano.mermaid(%s)', 'SELECT cano.timeline(%s)', 'SELECT cano.timeline(%s, ''mermaid'')', 'SELECT cano.explain(%s)', 'SELECT cano.report(%s)']) AS call;
SELECT throws_ok(format(call, :of_group), 'CN404', NULL, 'nor does anything inside: ' || call)
FROM unnest(ARRAY['SELECT cano._draw_headline(%s, 0)', 'SELECT cano._draw_hints(%s)', 'SELECT cano._draw_story(%s)', 'SELECT * FROM cano._draw_bars(%s)', 'SELECT cano._draw_gantt_text(%s)']) AS call;
SELECT is_empty(format('SELECT * FROM %s(%s)', f, :of_group), f || ' shows nothing')
FROM unnest(ARRAY['cano._draw_visits', 'cano._draw_moves', 'cano._draw_run_states']) AS f;
SELECT ok(cano.report() !~ 'group (secret|key)', 'his report has nothing of others');
SELECT ok(cano.report() ~ 'own secret', 'but what is his');
SELECT lives_ok('SELECT cano.explain(''t_seen''), cano.mermaid(''t_seen'')', 'workflows are everybody''s to see');

-- Alice, a member
SET SESSION AUTHORIZATION t_seen_alice;
SELECT ok(cano.explain(:of_group) ~ 'group secret', 'a member of the role sees its runs');
SELECT ok(cano.report() ~ 'group secret' AND cano.report() !~ 'own secret', 'and in her report, too');
RESET SESSION AUTHORIZATION;
SELECT ok(cano.report() ~ 'group secret' AND cano.report() ~ 'own secret', 'an administrator sees all');

SELECT ok((SELECT bool_and(strpos(cano.report(), cano._draw_html(detail)) > 0) FROM cano.health()), 'all that is wrong here is in it');

-- Those who are not let in
SELECT cano.revoke_usage('t_seen_bob') AS x \gset
SET SESSION AUTHORIZATION t_seen_bob;
SELECT throws_ok('SELECT cano.report()', '42501', NULL, 'without usage there is no picture');
RESET SESSION AUTHORIZATION;

SELECT * FROM finish();
DROP SCHEMA t_seen CASCADE;
SELECT cano.revoke_usage('t_seen_alice'), cano.revoke_usage('t_seen_group') \g /dev/null
DROP OWNED BY t_seen_alice, t_seen_bob, t_seen_group;
DROP ROLE t_seen_alice, t_seen_bob, t_seen_group;
