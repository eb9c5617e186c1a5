-- Closing a customer, one account, and the way back.
\set customer '''c0000000-0000-4000-8000-000000000020'''
\set a '''a0000000-0000-4000-8000-000000000020'''
\set b '''b0000000-0000-4000-8000-000000000020'''
\set stranger '''c0000000-0000-4000-8000-000000000021'''

SELECT currency FROM bank.create_account(:customer, 'BRL', :a);
SELECT currency FROM bank.create_account(:customer, 'USD', :b);
SELECT amount FROM bank.deposit(:a, 700);
SELECT amount FROM bank.deposit(:b, 30);

-- money is in the way: all of it is named, nothing is closed
SELECT * FROM bank.inactivate_customer(:customer);
SELECT bank.inactivate_account(:a);
SELECT account_id, status FROM bank_ledger.account WHERE customer_id = :customer ORDER BY account_id;
SELECT status FROM bank_ledger.customer WHERE customer_id = :customer;

SELECT amount FROM bank.withdraw(:a, 700);
SELECT status, version FROM bank.inactivate_account(:a);
SELECT status, version FROM bank.inactivate_account(:a);
SELECT * FROM bank.inactivate_customer(:customer);
SELECT amount FROM bank.withdraw(:b, 30, 'e0000000-0000-4000-8000-000000000020');

-- closed, and again: the same answer and no new event
SELECT account_id, status, version, closed_at = updated_at AS dated
FROM bank.inactivate_customer(:customer);
SELECT account_id, status, version FROM bank.inactivate_customer(:customer);
SELECT account_id, kind, version, status, balance FROM bank_ledger.account_event
WHERE customer_id = :customer ORDER BY account_id, version;
SELECT act, actor = current_user AS by_caller FROM bank_ledger.operator_act WHERE customer_id = :customer;

-- a closed account takes nothing, and a replay still answers
SELECT bank.deposit(:a, 1);
SELECT bank.withdraw(:b, 1);
SELECT bank.transfer(:a, :b, 1);
SELECT amount FROM bank.withdraw(:b, 30, 'e0000000-0000-4000-8000-000000000020');
SELECT account_id, status FROM bank.create_account(:customer, 'BRL', :a);

-- a closing customer gets no account until that is taken back
SELECT bank.create_account(:customer);
SELECT bank.reactivate_customer(:customer);
SELECT bank.reactivate_customer(:customer);
SELECT status FROM bank_ledger.customer WHERE customer_id = :customer;
SELECT currency, status FROM bank.create_account(:customer, 'EUR');
SELECT status, count(*) FROM bank_ledger.account WHERE customer_id = :customer GROUP BY status ORDER BY status;
SELECT act, count(*) FROM bank_ledger.operator_act WHERE customer_id = :customer GROUP BY act ORDER BY act;

-- a customer the ledger never met is marked closing
SELECT * FROM bank.inactivate_customer(:stranger);
SELECT status FROM bank_ledger.customer WHERE customer_id = :stranger;
SELECT bank.create_account(:stranger);

SELECT bank.reactivate_customer('00000000-0000-4000-8000-000000000404');
SELECT bank.reactivate_customer('00000000-0000-4000-8000-000000000422');
SELECT bank.reactivate_customer('00000000-0000-4000-8000-000000000503');

-- arguments
SELECT bank.inactivate_customer(NULL);
SELECT bank.inactivate_account(NULL);
SELECT bank.reactivate_customer(NULL);
SELECT bank.inactivate_account('a0000000-0000-4000-8000-00000000ffff');

SET client_min_messages = warning;
SELECT * FROM bank.verify();
