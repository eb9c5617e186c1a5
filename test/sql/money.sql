-- Currencies and amounts as people read them.
SELECT * FROM bank.currency WHERE code IN ('BRL', 'JPY', 'KWD', 'CLF', 'XAU', 'XTS') ORDER BY code;
SELECT exponent, count(*) FROM bank.currency GROUP BY exponent ORDER BY exponent;
SELECT code FROM bank.currency GROUP BY code HAVING count(*) > 1 OR code !~ '^[A-Z]{3}$';

SELECT amount, currency, bank.format_amount(amount, currency)
FROM (VALUES (1050, 'BRL'), (-5, 'BRL'), (0, 'BRL'), (1050, 'JPY'), (1050, 'KWD'), (1050, 'CLF'),
             (9007199254740991, 'BRL'), (-9223372036854775808, 'KWD'),
             (NULL, 'BRL'), (1, NULL)) AS v (amount, currency);
SELECT bank.format_amount(1, 'XTS');
SELECT bank.format_amount(1, 'brl');

-- whatever can be shown can be an account's currency
SELECT count(*) = (SELECT count(*) FROM bank.currency) AS every_one
FROM bank.currency AS c, bank.create_account('c0000000-0000-4000-8000-000000000090', c.code);

-- settlement is one row a currency, and the other side of what customers hold
SELECT d.to_balance FROM bank.create_account('c0000000-0000-4000-8000-000000000091', 'CLF') AS a,
    bank.deposit(a.account_id, 1) AS d, bank.deposit(a.account_id, 2) AS e;
SELECT currency, balance, updated_at > now() - interval '1 hour' AS just_now
FROM bank.settlement WHERE currency = 'CLF';
SELECT currency FROM bank.settlement FULL JOIN
    (SELECT currency, sum(balance) AS held FROM bank.accounts GROUP BY currency) AS a USING (currency)
WHERE coalesce(balance, 0) <> -held;
