/* Records read from JSON: what is taken, and what is a problem. */
#include "record.h"

#include <stdlib.h>

#include "tap.h"

#define ACCOUNT "0192f0c1-2345-7abc-8def-0123456789ab"
#define SETTLEMENT "62616e6b-0000-8000-8000-0042524c0007"
#define CUSTOMER "0192f0c1-2345-7abc-8def-ba9876543210"

static const char balance_json[] =
	"{\"account_id\":\"" ACCOUNT "\",\"customer_id\":\"" CUSTOMER "\","
	"\"currency\":\"BRL\",\"balance\":1050,\"held\":50,\"status\":\"active\","
	"\"epoch\":1,\"version\":7,\"transfer_id\":null,"
	"\"occurred_at\":\"2026-01-31T12:00:00.000001Z\"}";

static const char transfer_json[] =
	"{\"transfer_id\":\"" ACCOUNT "\",\"kind\":\"transfer\","
	"\"customer_id\":\"" CUSTOMER "\",\"from_account\":\"" ACCOUNT "\","
	"\"to_account\":\"" CUSTOMER "\",\"amount\":1050,\"currency\":\"BRL\","
	"\"epoch\":1,\"completed_at\":\"2026-01-31T12:00:00.000001Z\","
	"\"from_version\":1,\"to_version\":1,\"from_balance\":-5,\"to_balance\":5}";

/* A copy of text with one part replaced, malloc'd at its exact size. */
static char *
replace(const char *text, const char *part, const char *by)
{
	const char *place = strstr(text, part);
	size_t		size = strlen(text) - strlen(part) + strlen(by) + 1;
	char	   *copy = malloc(size);

	if (copy == NULL || place == NULL)
		abort();
	snprintf(copy, size, "%.*s%s%s", (int) (place - text), text, by,
			 place + strlen(part));
	return copy;
}

/* The bytes without a NUL after them, as Kafka gives them. */
static bool
read_balance(const char *json, BankRedisBalance *balance,
			 BridgeProblem *problem)
{
	size_t		length = strlen(json);
	char	   *bytes = malloc(length + 1);
	bool		taken;

	if (bytes == NULL)
		abort();
	memcpy(bytes, json, length);
	bytes[length] = 'x';
	taken = bridge_record_balance(bytes, length, balance, problem);
	free(bytes);
	return taken;
}

static void
accept_balance(const char *part, const char *by, const char *name)
{
	BankRedisBalance balance;
	BridgeProblem problem = {""};
	char	   *json = replace(balance_json, part, by);

	tap_ok(read_balance(json, &balance, &problem), name);
	free(json);
}

static void
refuse_balance(const char *part, const char *by, const char *expected)
{
	BankRedisBalance balance;
	BridgeProblem problem = {"(taken)"};
	char	   *json = replace(balance_json, part, by);

	read_balance(json, &balance, &problem);
	tap_is_text(problem.text, expected, by);
	free(json);
}

static void
test_balance(void)
{
	BankRedisBalance balance;
	BridgeProblem problem;

	tap_ok(read_balance(balance_json, &balance, &problem), "a balance");
	tap_is_text(balance.account_id, ACCOUNT, "account_id");
	tap_is_text(balance.customer_id, CUSTOMER, "customer_id");
	tap_is_text(balance.currency, "BRL", "currency");
	tap_is_text(balance.status, "active", "status");
	tap_is_text(balance.updated_at, "2026-01-31T12:00:00.000001Z", "updated_at");
	tap_is_int(balance.balance, 1050, "balance");
	tap_is_int(balance.held, 50, "held");
	tap_is_int(balance.epoch, 1, "epoch");
	tap_is_int(balance.version, 7, "version");

	accept_balance("\"" CUSTOMER "\"", "null", "settlement has no customer");
	accept_balance("1050", "-9007199254740991", "least balance");
	accept_balance("\"held\"", "\"more\":[1.5,{}],\"held\"",
				   "a field not known here");
}

static void
test_broken_balances(void)
{
	static const char version[] = "field \"version\" has a value that is not valid";

	refuse_balance("\"version\":7,", "", "field \"version\" is missing");
	refuse_balance("\"version\":7", "\"version\":0", version);
	refuse_balance("\"version\":7", "\"version\":9007199254740992", version);
	refuse_balance("\"version\":7", "\"version\":7.0",
				   "field \"version\" is of the wrong type");
	refuse_balance("\"version\":7", "\"version\":\"7\"",
				   "field \"version\" is of the wrong type");
	refuse_balance("\"epoch\":1", "\"epoch\":4294967297",
				   "field \"epoch\" has a value that is not valid");
	refuse_balance("\"held\":50", "\"held\":-1",
				   "field \"held\" has a value that is not valid");
	refuse_balance("\"BRL\"", "\"BR1\"",
				   "field \"currency\" has a value that is not valid");
	refuse_balance("\"active\"", "\"asleep\"",
				   "field \"status\" has a value that is not valid");
	refuse_balance("\"" ACCOUNT "\"", "\"x\"",
				   "field \"account_id\" has a value that is not valid");
	refuse_balance("\"" ACCOUNT "\"", "null",
				   "field \"account_id\" is of the wrong type");
	refuse_balance("2026-01-31T12:00:00.000001Z", "2026-02-31T12:00:00.000001Z",
				   "field \"occurred_at\" has a value that is not valid");
}

static void
refuse_bytes(const char *json, const char *expected)
{
	BankRedisBalance balance;
	BridgeProblem problem = {"(taken)"};

	read_balance(json, &balance, &problem);
	problem.text[strlen(expected)] = '\0';
	tap_is_text(problem.text, expected, json);
}

static void
test_no_json(void)
{
	BankRedisBalance balance;
	BridgeProblem problem = {"(taken)"};

	tap_ok(!bridge_record_balance(NULL, 0, &balance, &problem), "tombstone");
	tap_is_text(problem.text, "no value", "a tombstone is named");
	refuse_bytes("", "no value");
	refuse_bytes("{", "no JSON at byte");
	refuse_bytes("{\"a\":1} {", "no JSON at byte");
	refuse_bytes("{\"a\":1,\"a\":2}", "no JSON at byte");
	refuse_bytes("{\"a\":99999999999999999999}", "no JSON at byte");
	refuse_bytes("\xff", "no JSON at byte");
	refuse_bytes("[]", "no JSON object");
}

static void
accept_kind(const char *kind, bool notified)
{
	BridgeTransfer transfer;
	BridgeProblem problem = {""};
	char	   *json = replace(transfer_json, "\"transfer\"", kind);

	tap_ok(bridge_record_transfer(json, strlen(json), &transfer, &problem) &&
		   bridge_record_is_notified(&transfer) == notified, kind);
	free(json);
}

/* What is with settlement is nothing that BACEN is told. */
static void
accept_side(const char *part, const char *by)
{
	BridgeTransfer transfer;
	BridgeProblem problem = {""};
	char	   *json = replace(transfer_json, part, by);

	tap_ok(bridge_record_transfer(json, strlen(json), &transfer, &problem) &&
		   !bridge_record_is_notified(&transfer), by);
	free(json);
}

static void
refuse_transfer(const char *part, const char *by, const char *expected)
{
	BridgeTransfer transfer;
	BridgeProblem problem = {"(taken)"};
	char	   *json = replace(transfer_json, part, by);

	bridge_record_transfer(json, strlen(json), &transfer, &problem);
	tap_is_text(problem.text, expected, by);
	free(json);
}

static void
test_transfer(void)
{
	BridgeTransfer transfer;
	BridgeProblem problem;

	tap_ok(bridge_record_transfer(transfer_json, strlen(transfer_json),
								  &transfer, &problem), "a transfer");
	tap_is_text(transfer.transfer_id, ACCOUNT, "transfer_id");
	tap_is_text(transfer.from_account, ACCOUNT, "from_account");
	tap_is_text(transfer.to_account, CUSTOMER, "to_account");
	tap_is_text(transfer.completed_at, "2026-01-31T12:00:00.000001Z",
				"completed_at");
	tap_is_int(transfer.amount, 1050, "amount");
	tap_is_int(transfer.epoch, 1, "epoch");

	accept_kind("\"transfer\"", true);
	accept_kind("\"hold_posted\"", true);
	accept_kind("\"reversal\"", true);
	accept_kind("\"deposit\"", false);
	accept_kind("\"withdrawal\"", false);
	accept_side("\"from_account\":\"" ACCOUNT "\"",
				"\"from_account\":\"" SETTLEMENT "\"");
	accept_side("\"to_account\":\"" CUSTOMER "\"",
				"\"to_account\":\"" SETTLEMENT "\"");
	refuse_transfer("\"transfer\"", "\"gift\"",
					"field \"kind\" has a value that is not valid");
	refuse_transfer("1050", "0", "field \"amount\" has a value that is not valid");
	refuse_transfer("\"epoch\":1", "\"epoch\":0",
					"field \"epoch\" has a value that is not valid");
	refuse_transfer("1050", "10.5", "field \"amount\" is of the wrong type");
}

int
main(void)
{
	test_balance();
	test_broken_balances();
	test_no_json();
	test_transfer();
	return tap_done();
}
