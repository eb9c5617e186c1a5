-- One bank.transfer_batch of :size transfers with keys that are made, between
-- accounts of the one holder; it fails unless every one of them is posted.
\set number random(1, 1000000 / :size)
SELECT 1 / (count(*) = :size)::integer FROM bench.batch AS b, bank.transfer_batch(b.payers, b.payees, b.amounts) AS r WHERE b.size = :size AND b.holder = -1 AND b.number = :number AND r.result = 'ok';
