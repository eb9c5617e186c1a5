-- One bank.transfer with a key of the caller's, between two of the first
-- :accounts.
\set payer :first_account + random(0, :accounts - 1)
\set payee :first_account + (:payer - :first_account + random(1, :accounts - 1)) % :accounts
SELECT (bank.transfer(('a0000000-0000-4000-8000-' || :payer)::uuid, ('a0000000-0000-4000-8000-' || :payee)::uuid, 1, gen_random_uuid())).from_version;
