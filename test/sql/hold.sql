-- Two-phase transfers: held, then posted, voided or expired.
\set customer '''c0000000-0000-4000-8000-000000000060'''
\set a '''a0000000-0000-4000-8000-000000000060'''
\set b '''b0000000-0000-4000-8000-000000000060'''
\set hold1 '''e0000000-0000-4000-8000-000000000061'''
\set hold2 '''e0000000-0000-4000-8000-000000000062'''
\set hold3 '''e0000000-0000-4000-8000-000000000063'''
\set hold4 '''e0000000-0000-4000-8000-000000000064'''

SELECT currency FROM bank.create_account(:customer, 'BRL', :a);
SELECT currency FROM bank.create_account(:customer, 'BRL', :b);
SELECT to_balance FROM bank.deposit(:a, 1000);

-- held: no longer available, still there; repeated: the same row
SELECT state, from_account, to_account, amount, currency, expires_at, reference, version, balance, held
FROM bank.hold(:a, :b, 300, 'infinity', :hold1, 'rent');
SELECT state, amount, version, balance, held FROM bank.hold(:a, :b, 300, 'infinity', :hold1, 'rent');
SELECT balance, held, available FROM bank.ledger_balance(:a);
SELECT bank.transfer(:a, :b, 701);

-- neither account can be closed meanwhile
SELECT bank.inactivate_account(:b);

-- a part is posted, the rest released; repeated: the same row
SELECT transfer_id, kind, amount, from_version, from_balance, from_held, to_balance, reference
FROM bank.post_hold(:hold1, 120);
SELECT transfer_id, amount, from_version FROM bank.post_hold(:hold1, 120);
SELECT bank.post_hold(:hold1, 121);
SELECT bank.void_hold(:hold1);
SELECT state, version FROM bank.hold(:a, :b, 300, 'infinity', :hold1, 'rent');

-- voided
SELECT state FROM bank.hold(:a, :b, 880, 'infinity', :hold2);
SELECT state, version, balance, held FROM bank.void_hold(:hold2);
SELECT state, version, balance, held FROM bank.void_hold(:hold2);
SELECT bank.post_hold(:hold2);

-- expired: free by its date, journalled by the next that writes
SELECT clock_timestamp() + interval '1 s' AS soon \gset
SELECT state FROM bank.hold(:a, :b, 880, :'soon', :hold3);
SELECT bank.withdraw(:a, 1);
SELECT pg_sleep_until(:'soon'::timestamptz + interval '1 ms');
SELECT balance, held, available FROM bank.ledger_balance(:a);
SELECT state, live FROM bank.holds WHERE hold_id = :hold3;
SELECT held FROM bank_ledger.account WHERE account_id = :a;
SELECT bank.post_hold(:hold3);
SELECT from_balance, from_held FROM bank.withdraw(:a, 880);
SELECT bank.post_hold(:hold3);
SELECT bank.expire_holds();

-- or by the job
SELECT to_balance FROM bank.deposit(:a, 5);
SELECT clock_timestamp() + interval '1 s' AS soon \gset
SELECT state FROM bank.hold(:a, :b, 5, :'soon', :hold4);
SELECT pg_sleep_until(:'soon'::timestamptz + interval '1 ms');
SELECT bank.expire_holds();
SELECT bank.expire_holds();

SELECT version, kind, balance, held, amount, counterparty, transfer_id
FROM bank_ledger.account_event WHERE account_id = :a ORDER BY version;
SELECT hold_id, state, posted_amount, created_version, ended_version
FROM bank_ledger.hold WHERE from_account = :a ORDER BY created_version;
SET client_min_messages = warning;
SELECT count(*) FROM bank.verify();

-- all of them
SELECT hold_id, amount, currency, state, live, posted_amount, reference
FROM bank.holds WHERE from_account = :a ORDER BY hold_id;
