-- What a user is told when a submit is refused.
\pset format unaligned
\pset tuples_only on
CREATE SCHEMA submit_messages;
CREATE FUNCTION submit_messages.rest() RETURNS void LANGUAGE sql AS '';
SELECT cano.define('submit messages', cano.task('a', 'submit_messages.rest', next => 'end'), cano.exit('end'));

-- No such workflow, no such version
SELECT cano.submit('no such workflow');
SELECT cano.submit('submit messages', version => 7);
SELECT cano.submit('submit messages', version => 0);
SELECT cano.submit(NULL);

-- The input is an object
SELECT cano.submit('submit messages', '[1, 2]');
SELECT cano.submit('submit messages', '"text"');
SELECT cano.submit('submit messages', 'null');
SELECT cano.submit('submit messages', '1');
SELECT cano.submit('submit messages', NULL);
SELECT cano.submit_many('submit messages', ARRAY['{}', '[]']::jsonb[]);
SELECT cano.submit_many('submit messages', ARRAY['{}', NULL]::jsonb[]);
SELECT count(*) FROM cano.submit_many('submit messages', '{}');

-- Headers
SELECT cano.submit('submit messages', headers => '["x"]');
SELECT cano.submit('submit messages', headers => '{"ok": 1, "workflow.run_id": "x"}');

-- Other arguments
SELECT cano.submit('submit messages', key => '');
SELECT cano.submit('submit messages', key => repeat('k', 1001));
SELECT cano.submit('submit messages', max_attempts => 0);
SELECT cano.submit('submit messages', run_at => 'infinity');
SELECT cano.submit('submit messages', tags => ARRAY['a', NULL]);

-- A key that is taken
BEGIN;
SELECT cano.submit('submit messages', '{"a": 1}', key => 'taken') > 0;
SAVEPOINT s;
\set VERBOSITY terse
SELECT cano.submit('submit messages', '{"a": 2}', key => 'taken');
\echo :LAST_ERROR_SQLSTATE
\set VERBOSITY default
ROLLBACK TO s;
SELECT newly_submitted FROM cano.submit_info('submit messages', '{"a": 1}', key => 'taken');
ROLLBACK;

SELECT count(*) FROM cano.runs WHERE workflow LIKE 'submit messages%';
SET client_min_messages = warning;
DROP SCHEMA submit_messages CASCADE;
