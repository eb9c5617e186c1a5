-- Closing, and the way back.

CREATE FUNCTION bank.inactivate_customer(customer_id uuid)
RETURNS SETOF bank.account_row
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'bank_inactivate_customer';
COMMENT ON FUNCTION bank.inactivate_customer(uuid) IS
'Closes every account of a customer, or none, and marks him closing, so that none can be created. Never waits. Repeatable: the same answer and no new event. Raises LG009, LG010, LG019, 22004.';

CREATE FUNCTION bank.inactivate_account(account_id uuid)
RETURNS bank.account_row
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'bank_inactivate_account';
COMMENT ON FUNCTION bank.inactivate_account(uuid) IS
'Closes one account. Never waits. Repeatable. Raises LG001, LG009, LG010, LG019, 22004.';

CREATE FUNCTION bank.reactivate_customer(customer_id uuid)
RETURNS void
LANGUAGE c VOLATILE PARALLEL UNSAFE AS 'MODULE_PATHNAME', 'bank_reactivate_customer';
COMMENT ON FUNCTION bank.reactivate_customer(uuid) IS
'Lets accounts be created again for a customer whom customer-api says is active; closed accounts stay closed. Raises LG002, LG003, LG009, LG011, LG019, 22004.';
