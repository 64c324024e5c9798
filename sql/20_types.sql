-- What a task may return to say what happens next.
CREATE TYPE cano.outcome AS (
	kind text,
	state text,
	output jsonb,
	cursor jsonb,
	delay interval,
	reason text,
	detail jsonb
);
COMMENT ON TYPE cano.outcome IS 'what a task says should happen next; built by cano.next(), cano.more(), cano.pending(), cano.failed() and cano.cancelled()';
COMMENT ON COLUMN cano.outcome.kind IS 'next, more, pending, failed or cancelled';
COMMENT ON COLUMN cano.outcome.state IS 'next: the state to go to';
COMMENT ON COLUMN cano.outcome.output IS 'next, more: what the task returns besides';
COMMENT ON COLUMN cano.outcome.cursor IS 'more: where to go on';
COMMENT ON COLUMN cano.outcome.delay IS 'next, more, pending: how long to wait first';
COMMENT ON COLUMN cano.outcome.reason IS 'failed, cancelled: why';
COMMENT ON COLUMN cano.outcome.detail IS 'failed: the detail of the error';
