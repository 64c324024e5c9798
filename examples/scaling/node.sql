-- node.sql
--	  A server that does work: tables, functions and workflows that every node
--	  has.  As superuser, in the same database of each node:
--
--		  psql -X -q -v ON_ERROR_STOP=1 -d app -f node.sql
--
-- The node has cano in shared_preload_libraries, and cano.node_id is its
-- number: 0 on the first, 1 on the second.
--
-- The functions know nothing of other nodes.  A customer's rows are on one
-- node, and so are the runs that work on them.

BEGIN;
CREATE EXTENSION IF NOT EXISTS cano;
SELECT 'CREATE ROLE fleet_user NOLOGIN' WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'fleet_user') \gexec
SELECT cano.grant_usage('fleet_user');

CREATE SCHEMA fleet;
GRANT USAGE ON SCHEMA fleet TO fleet_user;

CREATE TABLE fleet.orders (
	customer text,
	number text,
	amount numeric NOT NULL,
	run bigint,
	PRIMARY KEY (customer, number));
CREATE TABLE fleet.ledger (
	customer text NOT NULL,
	amount numeric NOT NULL,
	run bigint NOT NULL DEFAULT cano.run_id());
GRANT SELECT, INSERT ON fleet.orders, fleet.ledger TO fleet_user;
GRANT UPDATE (run) ON fleet.orders TO fleet_user;

CREATE FUNCTION fleet.charge(customer text, amount numeric) RETURNS void LANGUAGE sql AS
	'INSERT INTO fleet.ledger (customer, amount) VALUES (charge.customer, -charge.amount)';
CREATE FUNCTION fleet.settle(customer text, amount numeric) RETURNS jsonb LANGUAGE sql AS
	'INSERT INTO fleet.ledger (customer, amount) VALUES (settle.customer, settle.amount)
	 RETURNING jsonb_build_object(''settled'', ledger.amount)';

SELECT cano.define('payment',
	cano.task('charge', 'fleet.charge', next => 'clear'),
	cano.timer('clear', delay => '0.2 s', next => 'settle'),
	cano.task('settle', 'fleet.settle', next => 'done'),
	cano.exit('done'));
SELECT cano.define('approved_payment',
	cano.receive('approve', signal => 'approval', next => 'settle'),
	cano.task('settle', 'fleet.settle', next => 'done'),
	cano.exit('done'));

-- An order and its run, in one commit.  An order that is there already has its
-- run, whatever became of that: it does no harm to place it again.
CREATE FUNCTION fleet.place_order(customer text, number text, amount numeric) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
	v_run bigint;
BEGIN
	INSERT INTO fleet.orders (customer, number, amount)
	VALUES (place_order.customer, place_order.number, place_order.amount)
	ON CONFLICT DO NOTHING;
	IF FOUND THEN
		v_run := cano.submit('payment', jsonb_build_object('customer', customer, 'amount', amount));
		UPDATE fleet.orders o SET run = v_run
		WHERE o.customer = place_order.customer AND o.number = place_order.number;
	ELSE
		SELECT o.run INTO v_run FROM fleet.orders o
		WHERE o.customer = place_order.customer AND o.number = place_order.number;
	END IF;
	RETURN v_run;
END $$;
COMMIT;
