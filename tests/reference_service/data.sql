-- Fills the reference service's database with about :megabytes megabytes (measured as an uncompressed plain dump).
-- Deterministic: the same size gives the same rows. Run with: psql -v megabytes=300 -f data.sql
\set ON_ERROR_STOP on
SET client_min_messages = warning;
SET synchronous_commit = off;
SELECT setseed(0.42);

CREATE TEMPORARY TABLE paragraphs AS
SELECT paragraph,
       (SELECT string_agg((ARRAY['court','appeal','statute','evidence','the','of','a','party','contract','liability','notice',
           'shall','pursuant','to','section','claim','damages','motion','hearing','witness','and','filed','order','judgment',
           'plaintiff','defendant','counsel','breach','remedy','jurisdiction','settlement','affidavit','in','with','whether',
           'reasonable','negligence','duty','care','standard','precedent','ruling','sustained','overruled','discovery',
           'deposition','testimony','clause','provision','termination','indemnity','warranty','tenant','landlord','lease',
           'premises','injury','compensation','employer','employee'])[1 + floor(random() * 60)::int]
           || CASE WHEN random() < 0.08 THEN ' ' || (random() * 1e6)::int::text ELSE '' END, ' ')
        FROM generate_series(1, 60 + paragraph % 40)) AS text
FROM generate_series(0, 3999) AS paragraph;
CREATE UNIQUE INDEX ON paragraphs (paragraph);

INSERT INTO clients (name, email, created_at)
SELECT 'Client ' || i, 'client' || i || '@example.com', timestamptz '2025-01-01' + i * interval '1 minute'
FROM generate_series(1, 20 * :megabytes) AS i;

INSERT INTO cases (client_id, case_number, status, title, tags, details, opened_at)
SELECT 1 + i % (20 * :megabytes), 'C-' || lpad(i::text, 9, '0'),
       (ARRAY['open', 'pending', 'closed', 'archived'])[1 + i % 4]::case_status,
       left((SELECT text FROM paragraphs WHERE paragraph = i % 4000), 60),
       ARRAY['tag' || i % 17, 'court' || i % 5],
       jsonb_build_object('priority', i % 5, 'judge', 'Judge ' || i % 113, 'note', CASE WHEN i % 9 = 0 THEN 'ünïcødé ✓' END),
       timestamptz '2025-06-01' + i * interval '7 minutes'
FROM generate_series(1, 60 * :megabytes) AS i;

-- Most documents are a few pages long, some are much longer: PostgreSQL compresses them and moves them out of line (TOAST).
INSERT INTO documents (case_id, title, body, created_at)
SELECT 1 + i % (60 * :megabytes), 'Document ' || i,
       a.text || E'\n' || md5(i::text) || E'\t\\' || b.text || E'\n' || c.text || E'\n' || d.text || E'\n' || e.text
           || CASE WHEN i % 25 = 0 THEN E'\n' || repeat(f.text || ' ' || i || E'\n', 20) ELSE f.text END,
       timestamptz '2025-07-01' + i * interval '7 minutes'
FROM generate_series(1, 150 * :megabytes) AS i
JOIN paragraphs a ON a.paragraph = i % 4000
JOIN paragraphs b ON b.paragraph = (i * 7919::bigint) % 4000
JOIN paragraphs c ON c.paragraph = (i * 104729::bigint) % 4000
JOIN paragraphs d ON d.paragraph = (i * 1299709::bigint) % 4000
JOIN paragraphs e ON e.paragraph = (i * 15485863::bigint) % 4000
JOIN paragraphs f ON f.paragraph = (i * 179424673::bigint) % 4000;

INSERT INTO response_history (id, user_id, endpoint, status, duration_ms, tokens, trace_id, created_at)
SELECT i, i % 997, (ARRAY['/chat', '/parse', '/search', '/health'])[1 + i % 4],
       CASE WHEN i % 71 = 0 THEN 503 WHEN i % 31 = 0 THEN 429 ELSE 200 END,
       (random() * 1800)::real, (random() * 4000)::int, md5('trace' || i)::uuid,
       timestamptz '2026-01-01' + (i * interval '1 second') * (26e6 / (4000 * :megabytes))
FROM generate_series(1, 4000 * :megabytes) AS i;

INSERT INTO billing.invoices (case_id, amount, paid, issued_on)
SELECT 1 + i % (60 * :megabytes), (i % 99991) / 7.0, ((i % 991) / 3.0)::numeric::money, date '2025-01-01' + i % 600
FROM generate_series(1, 100 * :megabytes) AS i;

INSERT INTO offices (name, location, flags, settings, search, hours, network)
SELECT 'Office ' || i, point(i, -i / 3.0), i::bit(8), json_build_object('z', i, 'a', i),
       to_tsvector('simple', 'office number ' || i), int4range(8, 9 + i % 9), '10.0.0.0/8'
FROM generate_series(1, 200) AS i;

INSERT INTO "Odd ""Schema""; x"."My Table; drop" SELECT 'k"' || i || '''; --', sha256(i::text::bytea) FROM generate_series(1, 500) AS i;
INSERT INTO attachments (case_id, content) SELECT i, lo_from_bytea(0, decode(repeat(md5(i::text), 800), 'hex')) FROM generate_series(1, 20) AS i;
INSERT INTO session_cache SELECT md5(i::text), 'session ' || i FROM generate_series(1, 100) AS i;
SELECT setval('case_number_seq', 100000 + 7 * 4321);
REFRESH MATERIALIZED VIEW daily_usage;
ANALYZE;
