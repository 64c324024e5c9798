-- router.sql
--	  The database that clients talk to.  It has no run; PL/Proxy (Debian's
--	  postgresql-15-plproxy) calls the node that has.  As superuser:
--
--		  psql -X -q -v ON_ERROR_STOP=1 -d router -f router.sql \
--			  -v node0='host=node0 dbname=app' -v node1='host=node1 dbname=app'
--
-- Each call is a transaction of its own on its node.

BEGIN;
CREATE EXTENSION plproxy;
SELECT 'CREATE ROLE fleet_user NOLOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'fleet_user') \gexec

CREATE SERVER fleet FOREIGN DATA WRAPPER plproxy OPTIONS (p0 :'node0', p1 :'node1');
GRANT USAGE ON FOREIGN SERVER fleet TO fleet_user;

CREATE SCHEMA fleet;
GRANT USAGE ON SCHEMA fleet TO fleet_user;

-- The node of a run: its number is in the upper 16 bits of the id.  100 and 200
-- are numbers for servers that take over from 0, and so on.
CREATE FUNCTION fleet.node_of(run bigint) RETURNS integer LANGUAGE sql IMMUTABLE STRICT AS
	'SELECT (run >> 48)::integer % 100';

-- Where the customer is.
CREATE FUNCTION fleet.submit(customer text, workflow text, input jsonb, key text) RETURNS bigint
LANGUAGE plproxy AS $$
	CLUSTER 'fleet';
	RUN ON hashtext(customer);
	SELECT cano.submit($2::text, $3::jsonb || pg_catalog.jsonb_build_object('customer', $1::text), $4::text);
$$;
CREATE FUNCTION fleet.place_order(customer text, number text, amount numeric) RETURNS bigint
LANGUAGE plproxy AS $$
	CLUSTER 'fleet';
	RUN ON hashtext(customer);
$$;

-- Where the run is.
CREATE FUNCTION fleet.status(run bigint)
RETURNS TABLE (run_id bigint, workflow text, status text, state text, waiting_for text, next_at timestamptz, error jsonb)
LANGUAGE plproxy AS $$
	CLUSTER 'fleet';
	RUN ON fleet.node_of(run);
	TARGET cano.status;
$$;
CREATE FUNCTION fleet.wait(run bigint, timeout interval DEFAULT '30 s') RETURNS jsonb
LANGUAGE plproxy AS $$
	CLUSTER 'fleet';
	RUN ON fleet.node_of(run);
	TARGET cano.wait;
$$;
CREATE FUNCTION fleet.cancel(run bigint, reason text) RETURNS boolean
LANGUAGE plproxy AS $$
	CLUSTER 'fleet';
	RUN ON fleet.node_of(run);
	TARGET cano.cancel;
$$;
CREATE FUNCTION fleet.signal(run bigint, name text, payload jsonb DEFAULT 'null') RETURNS boolean
LANGUAGE plproxy AS $$
	CLUSTER 'fleet';
	RUN ON fleet.node_of(run);
	TARGET cano.signal;
$$;
CREATE FUNCTION fleet.explain(run bigint) RETURNS text
LANGUAGE plproxy AS $$
	CLUSTER 'fleet';
	RUN ON fleet.node_of(run);
	TARGET cano.explain;
$$;

-- Everywhere; fails if any node does.
CREATE FUNCTION fleet.all_runs()
RETURNS TABLE (node integer, run_id bigint, workflow text, key text, status text, state text, submitted_at timestamptz)
LANGUAGE plproxy AS $$
	CLUSTER 'fleet';
	RUN ON ALL;
	SELECT pg_catalog.current_setting('cano.node_id')::integer AS node,
		r.run_id, r.workflow, r.key, r.status, r.state, r.submitted_at
	FROM cano.runs r;
$$;
CREATE FUNCTION fleet.all_queues()
RETURNS TABLE (node integer, workflow text, queued bigint, running bigint, waiting bigint, dead bigint)
LANGUAGE plproxy AS $$
	CLUSTER 'fleet';
	RUN ON ALL;
	SELECT pg_catalog.current_setting('cano.node_id')::integer AS node,
		q.workflow, q.queued, q.running, q.waiting, q.dead
	FROM cano.queue_stats q;
$$;
CREATE FUNCTION fleet.all_findings()
RETURNS TABLE (node integer, finding text, severity text, detail text, hint text)
LANGUAGE plproxy AS $$
	CLUSTER 'fleet';
	RUN ON ALL;
	SELECT pg_catalog.current_setting('cano.node_id')::integer AS node,
		h.finding, h.severity, h.detail, h.hint
	FROM cano.health() h;
$$;

CREATE VIEW fleet.runs AS SELECT * FROM fleet.all_runs();
CREATE VIEW fleet.queue_stats AS SELECT * FROM fleet.all_queues();
CREATE VIEW fleet.health AS SELECT * FROM fleet.all_findings();
GRANT SELECT ON ALL TABLES IN SCHEMA fleet TO fleet_user;

-- The number that a node says it has: must be the one it is asked by, or that
-- and hundreds.
CREATE FUNCTION fleet.node_id(node integer) RETURNS integer
LANGUAGE plproxy AS $$
	CLUSTER 'fleet';
	RUN ON node;
	SELECT pg_catalog.current_setting('cano.node_id')::integer;
$$;
COMMIT;
