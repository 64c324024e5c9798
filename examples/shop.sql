/*
 * A shop: stock, payments, a log of mails, and the workflow of an order.
 *
 * Plain tables and plain functions: nothing in them knows of cano, except
 * that parameters are named like the keys of an order's data.  Load it as the
 * role that will submit orders, in a database with the extension:
 *
 *		psql -f examples/shop.sql
 *
 * The demonstration (demo.sql) uses it, too.
 */
CREATE SCHEMA shop;

CREATE TABLE shop.stock (
	article text PRIMARY KEY,
	available integer NOT NULL,
	CONSTRAINT in_stock CHECK (available >= 0)
);
CREATE TABLE shop.reservations (order_no text, article text, quantity integer);
CREATE TABLE shop.payments (
	payment integer GENERATED ALWAYS AS IDENTITY,
	order_no text,
	amount numeric
);
CREATE TABLE shop.mail_log (order_no text, body text);

INSERT INTO shop.stock VALUES ('teapot', 10), ('samovar', 1);

CREATE FUNCTION shop.reserve(order_no text, article text, quantity integer DEFAULT 1)
RETURNS void
LANGUAGE sql
BEGIN ATOMIC
	INSERT INTO shop.reservations VALUES (order_no, article, quantity);
	UPDATE shop.stock AS s SET available = s.available - reserve.quantity
	WHERE s.article = reserve.article;
END;

-- There is one card terminal, and it takes one card at a time.
CREATE FUNCTION shop.charge(order_no text, amount numeric)
RETURNS jsonb
LANGUAGE plpgsql
AS $$
DECLARE
	v_payment integer;
BEGIN
	INSERT INTO shop.payments (order_no, amount) VALUES (charge.order_no, charge.amount)
	RETURNING payments.payment INTO v_payment;
	PERFORM pg_advisory_xact_lock(hashtext('card terminal'));
	RETURN jsonb_build_object('payment', v_payment);
END;
$$;

-- A router: the text it returns is the next state.
CREATE FUNCTION shop.route(gift boolean DEFAULT false)
RETURNS text
LANGUAGE sql
RETURN CASE WHEN gift THEN 'wrap' ELSE 'notify' END;

CREATE FUNCTION shop.notify(order_no text, payment integer)
RETURNS void
LANGUAGE sql
BEGIN ATOMIC
	INSERT INTO shop.mail_log
	VALUES (order_no, format('Order %s is paid (payment %s) and on its way.', order_no, payment));
END;

SELECT cano.define('order',
	cano.task  ('reserve', 'shop.reserve', next => 'charge',
				retry => cano.exponential(2, base => '100 ms')),
	cano.task  ('charge',  'shop.charge', next => 'route'),
	cano.router('route',   'shop.route', targets => ARRAY['wrap', 'notify']),
	cano.timer ('wrap',    delay => '1 second', next => 'notify'),
	cano.task  ('notify',  'shop.notify', next => 'done'),
	cano.exit  ('done')) AS version;

-- An engraved present: the customer approves of a proof before it is sent.
-- What is not to be sent is paid back and put back, latest first.
CREATE TABLE shop.journal (
	line integer GENERATED ALWAYS AS IDENTITY,
	order_no text,
	entry text
);

CREATE FUNCTION shop.note_reservation()
RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
	INSERT INTO shop.journal (order_no, entry) VALUES
		(coalesce(NEW.order_no, OLD.order_no), coalesce('reserve ' || NEW.article, 'put back ' || OLD.article));
	RETURN NULL;
END;
$$;
CREATE TRIGGER note AFTER INSERT OR DELETE ON shop.reservations FOR EACH ROW EXECUTE FUNCTION shop.note_reservation();

CREATE FUNCTION shop.note_payment()
RETURNS trigger
LANGUAGE plpgsql
AS $$
BEGIN
	INSERT INTO shop.journal (order_no, entry) VALUES
		(NEW.order_no, CASE WHEN NEW.amount > 0 THEN 'charge ' ELSE 'pay back ' END || abs(NEW.amount));
	RETURN NULL;
END;
$$;
CREATE TRIGGER note AFTER INSERT ON shop.payments FOR EACH ROW EXECUTE FUNCTION shop.note_payment();

CREATE FUNCTION shop.put_back(order_no text)
RETURNS void
LANGUAGE sql
BEGIN ATOMIC
	WITH gone AS (DELETE FROM shop.reservations AS r WHERE r.order_no = put_back.order_no RETURNING r.article, r.quantity)
	UPDATE shop.stock AS s SET available = s.available + g.quantity FROM gone AS g WHERE s.article = g.article;
END;

-- "payment" is what the charge that is undone had returned.
CREATE FUNCTION shop.pay_back(order_no text, payment integer)
RETURNS void
LANGUAGE sql
BEGIN ATOMIC
	INSERT INTO shop.payments (order_no, amount)
	SELECT order_no, -p.amount FROM shop.payments AS p WHERE p.payment = pay_back.payment;
END;

CREATE FUNCTION shop.send(address text DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
	IF address IS NULL THEN
		RAISE EXCEPTION 'nobody knows where to send it' USING ERRCODE = 'CN900';
	END IF;
END;
$$;

SELECT cano.define('present',
	cano.task   ('reserve', 'shop.reserve', compensate => 'shop.put_back', next => 'charge'),
	cano.task   ('charge',  'shop.charge', compensate => 'shop.pay_back', next => 'proof'),
	cano.receive('proof',   signal => 'approved', timeout => '1 month', next => 'send'),
	cano.task   ('send',    'shop.send', next => 'done'),
	cano.exit   ('done')) AS version;

-- The end of the day: ask three carriers at once and take the first that
-- answers, then hand over every order of the day, some at a time.
CREATE TABLE shop.handed_over (order_no text, carrier text);

CREATE FUNCTION shop.ask_carrier(carrier text, answers_after interval)
RETURNS text
LANGUAGE plpgsql
AS $$
BEGIN
	PERFORM pg_sleep_for(answers_after);
	RETURN carrier;
END;
$$;

CREATE FUNCTION shop.paid_orders()
RETURNS SETOF text
LANGUAGE sql
BEGIN ATOMIC
	SELECT p.order_no FROM shop.payments AS p ORDER BY p.payment;
END;

-- "asked" holds an answer for each carrier: null for those nobody waited for.
CREATE FUNCTION shop.hand_over(item text, asked text[])
RETURNS void
LANGUAGE sql
BEGIN ATOMIC
	INSERT INTO shop.handed_over
	SELECT item, a.carrier FROM unnest(asked) AS a (carrier) WHERE a.carrier IS NOT NULL;
END;

CREATE FUNCTION shop.handed_over(outputs jsonb)
RETURNS jsonb
LANGUAGE sql
RETURN jsonb_build_object('parcels', jsonb_array_length(outputs));

SELECT cano.define('end of day',
	cano.split('asked', ARRAY[
		cano.branch('shop.ask_carrier', input => '{"carrier": "snail", "answers_after": "1 hour"}'),
		cano.branch('shop.ask_carrier', input => '{"carrier": "horse", "answers_after": "0.1 s"}'),
		cano.branch('shop.ask_carrier', input => '{"carrier": "tortoise", "answers_after": "30 min"}')],
		join => cano.any(), next => 'hand over'),
	cano.batch('hand over', load => 'shop.paid_orders', process => 'shop.hand_over', finish => 'shop.handed_over',
		concurrency => 4, next => 'done'),
	cano.exit('done')) AS version;
