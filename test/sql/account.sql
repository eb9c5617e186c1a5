-- Accounts: created for active customers only, once per id.
\set customer '''c0000000-0000-4000-8000-000000000001'''
\set account '''a0000000-0000-4000-8000-000000000001'''

SELECT account_id, customer_id, kind, currency, status, balance, held, version,
       opened_at = updated_at AS just_opened, closed_at
FROM bank.create_account(:customer, 'BRL', :account);

-- the same id again is the same account, and no second event
SELECT account_id, version FROM bank.create_account(:customer, 'BRL', :account);
SELECT kind, version, currency, status, balance, held, transfer_id, actor = current_user AS by_caller
FROM bank_ledger.account_event WHERE account_id = :account;

-- without an id one is made: version 7, routed by the customer
SELECT length(a.account_id::text), substr(a.account_id::text, 15, 1) AS uuid_version,
       right(a.account_id::text, 4) = right(b.account_id::text, 4) AS same_route,
       a.account_id < b.account_id AS in_time_order, a.currency
FROM bank.create_account(:customer) AS a, bank.create_account(:customer, 'USD') AS b;

-- an id that names another account
SELECT bank.create_account(:customer, 'USD', :account);
SELECT bank.create_account('c0000000-0000-4000-8000-000000000002', 'BRL', :account);

-- customers who are not active
SELECT bank.create_account('00000000-0000-4000-8000-000000000404');
SELECT bank.create_account('00000000-0000-4000-8000-000000000422');
SELECT bank.create_account('00000000-0000-4000-8000-000000000503');

-- arguments
SELECT bank.create_account(NULL);
SELECT bank.create_account(:customer, NULL);
SELECT bank.create_account(:customer, 'brl');
SELECT bank.create_account(:customer, 'XXXX');
SELECT bank.create_account(:customer, '');
SELECT bank.create_account('not-a-uuid');
SELECT bank.create_account(:customer, 'BRL', '62616e6b-0000-8000-8000-0042524c0003');

-- none of the refusals left anything
SELECT count(*) FROM bank_ledger.account
WHERE customer_id IN ('c0000000-0000-4000-8000-000000000002',
                      '00000000-0000-4000-8000-000000000404',
                      '00000000-0000-4000-8000-000000000422',
                      '00000000-0000-4000-8000-000000000503');

SELECT account_id, customer_id, currency, status, balance, held, available, version
FROM bank.ledger_balance(:account);
SELECT bank.ledger_balance('a0000000-0000-4000-8000-00000000ffff');
SELECT bank.ledger_balance(NULL);

SELECT * FROM bank.verify();

-- listed by customer
SELECT account_id = :account AS asked, kind, currency, status, balance, version, closed_at
FROM bank.accounts WHERE customer_id = :customer ORDER BY asked DESC, currency;
SELECT count(*) FROM bank.accounts WHERE kind <> 'customer';
