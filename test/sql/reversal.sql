-- The correcting entry: once, under the rules of every posting.
\set customer '''c0000000-0000-4000-8000-000000000055'''
\set a '''a0000000-0000-4000-8000-000000000055'''
\set b '''b0000000-0000-4000-8000-000000000055'''
\set deposit '''e0000000-0000-4000-8000-000000000071'''
\set transfer '''e0000000-0000-4000-8000-000000000072'''
\set hold '''e0000000-0000-4000-8000-000000000073'''
\set withdrawal '''e0000000-0000-4000-8000-000000000074'''
\set reversal '''e0000000-0000-4000-8000-000000000075'''

SELECT currency FROM bank.create_account(:customer, 'BRL', :a);
SELECT currency FROM bank.create_account(:customer, 'BRL', :b);
SELECT to_balance FROM bank.deposit(:a, 1000, :deposit);
SELECT to_balance FROM bank.transfer(:a, :b, 600, :transfer);

-- repeated: the same row; with another key: once is enough
SELECT kind, from_account, to_account, amount, from_balance, to_balance, reverses
FROM bank.reverse(:transfer, :reversal);
SELECT kind, from_balance, to_balance FROM bank.reverse(:transfer, :reversal);
SELECT bank.reverse(:transfer);
SELECT bank.reverse(:reversal);

-- a hold that was posted in part gives back that part
SELECT held FROM bank.hold(:a, :b, 500, 'infinity', :hold);
SELECT amount FROM bank.post_hold(:hold, 200);
SELECT amount, from_balance, to_balance, from_held FROM bank.reverse(:hold);

-- against settlement
SELECT from_balance FROM bank.withdraw(:a, 100, :withdrawal);
SELECT to_account, to_balance FROM bank.reverse(:withdrawal);
SELECT amount FROM bank.transfer(:a, :b, 1);
SELECT bank.reverse(:deposit);
SELECT amount FROM bank.transfer(:b, :a, 1);
SELECT from_account, from_balance FROM bank.reverse(:deposit);

-- whoever is closed takes part in nothing
SELECT to_balance FROM bank.deposit(:a, 5);
SELECT amount FROM bank.transfer(:a, :b, 5, 'e0000000-0000-4000-8000-000000000076');
SELECT status FROM bank.inactivate_account(:a);
SELECT bank.reverse('e0000000-0000-4000-8000-000000000076');
SET client_min_messages = warning;
SELECT count(*) FROM bank.verify();
