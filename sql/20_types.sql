-- What a task may return to say what happens next.
CREATE TYPE cano.outcome AS (
	kind text,							-- next, more, pending, failed, cancelled
	state text,
	output jsonb,
	cursor jsonb,
	delay interval,
	reason text,
	detail jsonb
);
COMMENT ON TYPE cano.outcome IS 'what a task says should happen next; built by cano.next, more, pending, failed and cancelled';
