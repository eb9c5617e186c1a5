-- The arguments of transfer_batch, made beforehand so that a measure holds no
-- more than what a client would send: a million transfers in batches of each
-- size between any two of the one holder's accounts, and as many in batches of
-- 1,000 between any two of each of :holders holders.  Few batches, taken again
-- and again, would move the rows of one to the same pages, which all of them
-- then update at once.

CREATE TABLE bench.batch (
    size    integer NOT NULL,
    holder  integer NOT NULL,
    number  integer NOT NULL,
    payers  uuid[] NOT NULL,
    payees  uuid[] NOT NULL,
    amounts bigint[] NOT NULL,
    PRIMARY KEY (size, holder, number)
);
ALTER TABLE bench.batch ALTER payers SET STORAGE EXTERNAL, ALTER payees SET STORAGE EXTERNAL,
    ALTER amounts SET STORAGE EXTERNAL;

SELECT setseed(0.5);

-- Holder -1 is the one with all of his accounts; the others begin where the
-- accounts of the one before end.
WITH holder AS (
    SELECT -1 AS holder, size, 1000000 / size AS batches, :first_account AS first,
           :accounts AS accounts
    FROM unnest(ARRAY[100, 1000, 8190]) AS size
    UNION ALL
    SELECT h, 1000, 1000 / :holders, :first_own_account + h * (:accounts / :holders),
           :accounts / :holders
    FROM generate_series(0, :holders - 1) AS h
), item AS (
    SELECT size, holder, number, first, accounts, floor(random() * accounts)::integer AS payer,
           1 + floor(random() * (accounts - 1))::integer AS step
    FROM holder, generate_series(1, batches) AS number, generate_series(1, size)
)
INSERT INTO bench.batch
SELECT size, holder, number,
       array_agg(('a0000000-0000-4000-8000-' || first + payer)::uuid),
       array_agg(('a0000000-0000-4000-8000-' || first + (payer + step) % accounts)::uuid),
       array_agg(1::bigint)
FROM item
GROUP BY size, holder, number;

VACUUM ANALYZE bench.batch;
