-- The bare UPDATE of one row out of :accounts.
\set id random(1, :accounts)
UPDATE baseline.one_row SET balance = balance + 1, version = version + 1 WHERE id = :id;
