-- The same where each client's batches are of a holder of its own.
\set number random(1, :size / :holders)
SELECT 1 / (count(*) = :size)::integer FROM bench.batch AS b, bank.transfer_batch(b.payers, b.payees, b.amounts) AS r WHERE b.size = :size AND b.holder = :client_id AND b.number = :number AND r.result = 'ok';
