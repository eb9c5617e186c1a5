/*
 * Reads records by tables of fields: name, kind, place in the struct.
 *
 * Memory:    what jansson allocates for a record is freed before returning.
 */
#include "record.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "contract.h"
#include "text.h"

typedef enum FieldKind
{
	FIELD_UUID,
	FIELD_UUID_OR_NULL,			/* null becomes the empty text */
	FIELD_CURRENCY,
	FIELD_STATUS,
	FIELD_TRANSFER_KIND,
	FIELD_TIME,
	FIELD_MONEY,				/* int64, either sign */
	FIELD_NATURAL,				/* int64, 0 or more */
	FIELD_POSITIVE,				/* int64, 1 or more */
	FIELD_EPOCH					/* int32, 1 or more */
} FieldKind;

typedef struct Field
{
	const char *name;
	FieldKind	kind;
	size_t		offset;
} Field;

static const Field balance_fields[] = {
	{"account_id", FIELD_UUID, offsetof(BankRedisBalance, account_id)},
	{"customer_id", FIELD_UUID_OR_NULL, offsetof(BankRedisBalance, customer_id)},
	{"currency", FIELD_CURRENCY, offsetof(BankRedisBalance, currency)},
	{"balance", FIELD_MONEY, offsetof(BankRedisBalance, balance)},
	{"held", FIELD_NATURAL, offsetof(BankRedisBalance, held)},
	{"status", FIELD_STATUS, offsetof(BankRedisBalance, status)},
	{"epoch", FIELD_EPOCH, offsetof(BankRedisBalance, epoch)},
	{"version", FIELD_POSITIVE, offsetof(BankRedisBalance, version)},
	{"occurred_at", FIELD_TIME, offsetof(BankRedisBalance, updated_at)},
	{NULL, FIELD_UUID, 0}
};

static const Field transfer_fields[] = {
	{"transfer_id", FIELD_UUID, offsetof(BridgeTransfer, transfer_id)},
	{"kind", FIELD_TRANSFER_KIND, offsetof(BridgeTransfer, kind)},
	{"customer_id", FIELD_UUID, offsetof(BridgeTransfer, customer_id)},
	{"from_account", FIELD_UUID, offsetof(BridgeTransfer, from_account)},
	{"to_account", FIELD_UUID, offsetof(BridgeTransfer, to_account)},
	{"amount", FIELD_POSITIVE, offsetof(BridgeTransfer, amount)},
	{"currency", FIELD_CURRENCY, offsetof(BridgeTransfer, currency)},
	{"epoch", FIELD_EPOCH, offsetof(BridgeTransfer, epoch)},
	{"completed_at", FIELD_TIME, offsetof(BridgeTransfer, completed_at)},
	{NULL, FIELD_UUID, 0}
};

static const char *const statuses[] = {"active", "inactive", NULL};
static const char *const transfer_kinds[] = {
	"transfer", "deposit", "withdrawal", "hold_posted", "reversal", NULL
};


static bool
is_one_of(const char *text, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(text, *words) == 0)
			return true;
	return false;
}

static bool
is_currency(const char *text)
{
	for (int i = 0; i < 3; i++)
		if (text[i] < 'A' || text[i] > 'Z')
			return false;
	return text[3] == '\0';
}

/* What is checked fits its place: each check bounds the length. */
static bool
read_text(FieldKind kind, const char *text, char *place)
{
	bool		valid = false;

	if (kind == FIELD_UUID || kind == FIELD_UUID_OR_NULL)
		valid = bank_text_is_uuid(text);
	else if (kind == FIELD_CURRENCY)
		valid = is_currency(text);
	else if (kind == FIELD_STATUS)
		valid = is_one_of(text, statuses);
	else if (kind == FIELD_TRANSFER_KIND)
		valid = is_one_of(text, transfer_kinds);
	else if (kind == FIELD_TIME)
		valid = bank_text_is_time(text);
	if (valid)
		memcpy(place, text, strlen(text) + 1);
	return valid;
}

static bool
read_integer(FieldKind kind, json_int_t number, char *place)
{
	int64_t		value = number;
	int32_t		epoch = (int32_t) number;
	int64_t		least = 1;

	if (kind == FIELD_MONEY)
		least = -BANK_AMOUNT_MAX;
	else if (kind == FIELD_NATURAL)
		least = 0;
	if (value < least || value > BANK_AMOUNT_MAX)
		return false;
	if (kind != FIELD_EPOCH)
		memcpy(place, &value, sizeof(value));
	else if (value > INT32_MAX)
		return false;
	else
		memcpy(place, &epoch, sizeof(epoch));
	return true;
}

static bool
complain(BridgeProblem *problem, const char *field, const char *what)
{
	snprintf(problem->text, sizeof(problem->text), "field \"%s\" %s", field,
			 what);
	return false;
}

static bool
read_field(const json_t *object, const Field *field, void *record,
		   BridgeProblem *problem)
{
	const json_t *value = json_object_get(object, field->name);
	char	   *place = (char *) record + field->offset;
	bool		wants_integer = field->kind >= FIELD_MONEY;

	if (value == NULL)
		return complain(problem, field->name, "is missing");
	if (json_is_null(value) && field->kind == FIELD_UUID_OR_NULL)
	{
		*place = '\0';
		return true;
	}
	if (wants_integer ? !json_is_integer(value) : !json_is_string(value))
		return complain(problem, field->name, "is of the wrong type");
	if (wants_integer ?
		!read_integer(field->kind, json_integer_value(value), place) :
		!read_text(field->kind, json_string_value(value), place))
		return complain(problem, field->name, "has a value that is not valid");
	return true;
}

static bool
read_object(const json_t *object, const Field *fields, void *record,
			BridgeProblem *problem)
{
	if (!json_is_object(object))
	{
		snprintf(problem->text, sizeof(problem->text), "no JSON object");
		return false;
	}
	for (const Field *field = fields; field->name != NULL; field++)
		if (!read_field(object, field, record, problem))
			return false;
	return true;
}

static bool
read_record(const void *value, size_t length, const Field *fields,
			void *record, BridgeProblem *problem)
{
	json_error_t error;
	json_t	   *object;
	bool		sound;

	if (value == NULL || length == 0)
	{
		snprintf(problem->text, sizeof(problem->text), "no value");
		return false;
	}
	object = json_loadb(value, length, JSON_REJECT_DUPLICATES, &error);
	if (object == NULL)
	{
		snprintf(problem->text, sizeof(problem->text),
				 "no JSON at byte %d: %.100s", error.position, error.text);
		return false;
	}
	sound = read_object(object, fields, record, problem);
	json_decref(object);
	return sound;
}

bool
bridge_record_balance(const void *value, size_t length,
					  BankRedisBalance *balance, BridgeProblem *problem)
{
	return read_record(value, length, balance_fields, balance, problem);
}

bool
bridge_record_transfer(const void *value, size_t length,
					   BridgeTransfer *transfer, BridgeProblem *problem)
{
	return read_record(value, length, transfer_fields, transfer, problem);
}

/* The others are between the bank and its customer. */
static const char *const notified_kinds[] = {
	"transfer", "hold_posted", "reversal", NULL
};

static bool
is_settlement(const char *account_id)
{
	return strncmp(account_id, BANK_SETTLEMENT_PREFIX,
				   sizeof(BANK_SETTLEMENT_PREFIX) - 1) == 0;
}

/* The reversal of a deposit or withdrawal is with settlement, as that was. */
bool
bridge_record_is_notified(const BridgeTransfer *transfer)
{
	return is_one_of(transfer->kind, notified_kinds) &&
		!is_settlement(transfer->from_account) &&
		!is_settlement(transfer->to_account);
}
