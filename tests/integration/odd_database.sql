-- Added to the reference service's database: what is rare and goes wrong. Roles are made by the test, they belong to the server.
SET client_min_messages = warning;

-- A row is called by its table's alias; columns of that name stand before it.
CREATE TABLE named_t (t timestamptz, v integer);
INSERT INTO named_t SELECT '2026-01-01'::timestamptz + i * interval '1 hour', i FROM generate_series(1, 50) AS i;
CREATE TABLE named_t_row (t text, v text);
INSERT INTO named_t_row SELECT 'same', 'differs ' || i FROM generate_series(1, 50) AS i;

-- Names that look alike where a list of contents does not quote them.
CREATE SCHEMA s;
CREATE SCHEMA "s a";
CREATE TABLE s."a b" (id integer);
CREATE TABLE "s a".b (id integer);
CREATE TABLE s.a (id integer);
ALTER TABLE s.a OWNER TO "b owner";
INSERT INTO s."a b" SELECT generate_series(1, 30000);
INSERT INTO "s a".b SELECT generate_series(1, 20000);
INSERT INTO s.a SELECT generate_series(1, 10000);
CREATE TABLE "two
lines" ("a
b" text);
INSERT INTO "two
lines" VALUES (E'line 1\nline 2\\.\t\r'), (NULL), ('');

CREATE TYPE pair AS (a integer, b text);
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE DOMAIN short_text AS text CHECK (length(VALUE) < 50);
CREATE TABLE rare_types (
    id serial PRIMARY KEY, one pair, many pair[], mood mood, moods mood[], short short_text, shorts short_text[],
    spans tstzmultirange, doc xml, bits bit varying(9), place regclass, price money, way path, float_value double precision,
    address macaddr8, lsn pg_lsn, amount numeric, duration interval
);
INSERT INTO rare_types (one, many, mood, moods, short, shorts, spans, bits, place, price, way, float_value, address, lsn, amount, duration)
VALUES ((1, 'x'), ARRAY[(2, 'y')::pair], 'ok', '{sad,happy}', 'short', '{a,b}', '{[2026-01-01,2026-02-01)}', B'1010', 'clients', 12.34,
        '((0,0),(1,1))', 0.1::double precision + 0.2, '08:00:2b:01:02:03:04:05', '16/B374D848', 'NaN', '1 mon 2 days 3.5 s'),
       (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '-Infinity', NULL, NULL, 1e-20, NULL);

CREATE TABLE parent (id integer, note text);
CREATE TABLE child (more integer) INHERITS (parent);
INSERT INTO parent VALUES (1, 'parent');
INSERT INTO child VALUES (2, 'child', 3);
CREATE TABLE dropped_column (a integer, gone text, b integer);
INSERT INTO dropped_column SELECT i, 'x', i * 2 FROM generate_series(1, 10) AS i;
ALTER TABLE dropped_column DROP COLUMN gone, ADD COLUMN later text DEFAULT 'later';
CREATE TABLE no_columns ();
INSERT INTO no_columns DEFAULT VALUES;

CREATE SEQUENCE never_called;
CREATE SEQUENCE downward INCREMENT BY -3 MINVALUE -1000000 MAXVALUE 10 START 10;
SELECT nextval('downward'), nextval('downward');
CREATE SEQUENCE far AS bigint START 9223372036854775800;
SELECT nextval('far');

CREATE TABLE guarded (who text, secret text);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
ALTER TABLE guarded FORCE ROW LEVEL SECURITY;
ALTER TABLE guarded OWNER TO "Owner; drop ""y""";
CREATE POLICY own_rows ON guarded USING (who = current_user);
INSERT INTO guarded VALUES ('nobody', 'hidden'), ('Owner; drop "y"', 'seen');
GRANT SELECT (who) ON guarded TO "b owner" WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT SELECT ON TABLES TO "b owner";

CREATE MATERIALIZED VIEW not_yet AS SELECT count(*) FROM clients WITH NO DATA;
CREATE PUBLICATION some_tables FOR TABLE clients, s.a WITH (publish = 'insert');
CREATE FUNCTION tricky() RETURNS text LANGUAGE sql AS $f$
-- a comment
SELECT $$SET x$$ || E'\\restrict'
$f$;
SELECT lo_create(4711);
ALTER LARGE OBJECT 4711 OWNER TO "Owner; drop ""y""";
SELECT lo_put(4711, 100000, '\x000102ff');
