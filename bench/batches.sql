-- The arguments of transfer_batch, made beforehand so that a measure holds no
-- more than what a client would send, between any two of :accounts accounts: a
-- million transfers in batches of each size.  Few batches, taken again and
-- again, would move the rows of one to the same pages, which all of them then
-- update at once.

CREATE SCHEMA bench;
CREATE TABLE bench.batch (
    size    integer NOT NULL,
    number  integer NOT NULL,
    payers  uuid[] NOT NULL,
    payees  uuid[] NOT NULL,
    amounts bigint[] NOT NULL,
    PRIMARY KEY (size, number)
);
ALTER TABLE bench.batch ALTER payers SET STORAGE EXTERNAL, ALTER payees SET STORAGE EXTERNAL,
    ALTER amounts SET STORAGE EXTERNAL;

SELECT setseed(0.5);

WITH item AS (
    SELECT size, number, floor(random() * :accounts)::integer AS payer,
           1 + floor(random() * (:accounts - 1))::integer AS step
    FROM unnest(ARRAY[100, 1000, 8190]) AS size, generate_series(1, 1000000 / size) AS number,
         generate_series(1, size)
)
INSERT INTO bench.batch
SELECT size, number,
       array_agg(('a0000000-0000-4000-8000-' || :first_account + payer)::uuid),
       array_agg(('a0000000-0000-4000-8000-' || :first_account + (payer + step) % :accounts)::uuid),
       array_agg(1::bigint)
FROM item
GROUP BY size, number;

VACUUM ANALYZE bench.batch;
