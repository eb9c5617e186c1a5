-- One transfer by the ledger in PL/pgSQL, between two of the first :accounts,
-- with a key as transfer.sql has it.
\set number :number + 1
\set low 8000000000000000 + :client_id * 1000000000000 + :number
\set payer :first_account + random(0, :accounts - 1)
\set payee :first_account + (:payer - :first_account + random(1, :accounts - 1)) % :accounts
SELECT (baseline.transfer(('a0000000-0000-4000-8000-' || :payer)::uuid, ('a0000000-0000-4000-8000-' || :payee)::uuid, 1, (:high || :low)::uuid)).from_version;
