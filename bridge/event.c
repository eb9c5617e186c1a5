/*
 * The one place that turns journal rows into events.
 */
#include "event.h"

#include <string.h>

#include "contract.h"

/* Writes into a buffer that must suffice; overrun is asked for at the end. */
typedef struct Writer
{
	char	   *text;
	size_t		size;
	size_t		length;
	bool		overrun;
} Writer;

/* State of an account as bank.balances and bank.accounts tell it. */
typedef struct AccountState
{
	const BridgeUuid *account_id;
	const BridgeUuid *customer_id;
	const BridgeUuid *transfer_id;
	const BridgeTime *at;
	BridgeValue currency;
	BridgeValue status;
	int64_t		balance;
	int64_t		held;
	int64_t		version;
	int32_t		epoch;
} AccountState;

const char *const bridge_event_topics[BRIDGE_EVENT_TOPICS] = {
	BANK_TOPIC_ACCOUNTS, BANK_TOPIC_BALANCES, BANK_TOPIC_TRANSFERS,
	BANK_TOPIC_SEALS
};

static const BridgeUuid no_uuid;

#define LITERAL(text) ((BridgeValue) {text, sizeof(text) - 1})
#define IS(value, text) \
	((value).length == sizeof(text) - 1 && \
	 memcmp((value).data, text, sizeof(text) - 1) == 0)

static void
put(Writer *writer, const char *text, size_t length)
{
	if (length > writer->size - writer->length)
	{
		writer->overrun = true;
		return;
	}
	memcpy(writer->text + writer->length, text, length);
	writer->length += length;
}

#define PUT(writer, literal) put(writer, literal, sizeof(literal) - 1)

static void
put_integer(Writer *writer, int64_t value)
{
	char		digits[24];
	char	   *next = digits + sizeof(digits);
	uint64_t	rest = value < 0 ? -(uint64_t) value : (uint64_t) value;

	do
	{
		*--next = (char) ('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	if (value < 0)
		*--next = '-';
	put(writer, next, (size_t) (digits + sizeof(digits) - next));
}

static void
put_uuid(Writer *writer, const BridgeUuid *uuid)
{
	if (uuid->text[0] == '\0')
	{
		PUT(writer, "null");
		return;
	}
	PUT(writer, "\"");
	put(writer, uuid->text, BANK_UUID_LENGTH);
	PUT(writer, "\"");
}

/* For texts that is_word has let pass, so nothing needs an escape. */
static void
put_word(Writer *writer, BridgeValue word)
{
	PUT(writer, "\"");
	put(writer, word.data, word.length);
	PUT(writer, "\"");
}

/* A character that JSON does not take as it is. */
static void
put_escaped(Writer *writer, unsigned char c)
{
	static const char hex[] = "0123456789abcdef";
	char		escape[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};

	if (c == '"' || c == '\\')
	{
		escape[1] = (char) c;
		put(writer, escape, 2);
	}
	else
		put(writer, escape, sizeof(escape));
}

/* A caller's own text, in the server's UTF-8; null where there is none. */
static void
put_text(Writer *writer, BridgeValue text)
{
	if (text.data == NULL)
	{
		PUT(writer, "null");
		return;
	}
	PUT(writer, "\"");
	for (size_t i = 0; i < text.length; i++)
	{
		unsigned char c = (unsigned char) text.data[i];

		if (c < ' ' || c == '"' || c == '\\')
			put_escaped(writer, c);
		else
			put(writer, &text.data[i], 1);
	}
	PUT(writer, "\"");
}

static void
put_time(Writer *writer, const BridgeTime *time)
{
	PUT(writer, "\"");
	put(writer, time->text, BRIDGE_TIME_SIZE - 1);
	PUT(writer, "\"");
}

static bool
is_word(BridgeValue value)
{
	for (size_t i = 0; i < value.length; i++)
	{
		char		c = value.data[i];

		if ((c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '_')
			return false;
	}
	return value.length > 0 && value.length <= 32;
}

static bool
is_transfer_kind(BridgeValue kind)
{
	return IS(kind, "transfer") || IS(kind, "deposit") ||
		IS(kind, "withdrawal") || IS(kind, "hold_posted") ||
		IS(kind, "reversal");
}

static bool
is_event_kind(BridgeValue kind)
{
	return IS(kind, "created") || IS(kind, "inactivated") ||
		IS(kind, "hold_created") || IS(kind, "hold_posted") ||
		IS(kind, "hold_voided") || IS(kind, "hold_expired") ||
		IS(kind, "limit_set") || IS(kind, "clock_accepted");
}

static bool
is_status(BridgeValue status)
{
	return IS(status, "active") || IS(status, "inactive");
}

static BridgeEvent *
add_event(BridgeEvents *events, const char *topic, const char *type)
{
	BridgeEvent *event = &events->events[events->count++];

	event->topic = topic;
	event->type = type;
	event->version = 0;
	return event;
}

/* "<account_id>:<epoch>:<version>" and, on bank.accounts, ":status". */
static bool
make_account_id(BridgeEvent *event, const AccountState *state, bool with_status)
{
	Writer		writer = {.text = event->id, .size = sizeof(event->id)};

	put(&writer, state->account_id->text, BANK_UUID_LENGTH);
	PUT(&writer, ":");
	put_integer(&writer, state->epoch);
	PUT(&writer, ":");
	put_integer(&writer, state->version);
	if (with_status)
		PUT(&writer, ":status");
	event->id_length = writer.length;
	event->version = state->version;
	event->key = state->account_id->text;
	event->time = state->at->text;
	return !writer.overrun;
}

static void
put_account_head(Writer *writer, const AccountState *state)
{
	PUT(writer, "{\"account_id\":");
	put_uuid(writer, state->account_id);
	PUT(writer, ",\"customer_id\":");
	put_uuid(writer, state->customer_id);
	PUT(writer, ",\"currency\":");
	put_word(writer, state->currency);
}

static void
put_status_and_version(Writer *writer, const AccountState *state)
{
	PUT(writer, ",\"status\":");
	put_word(writer, state->status);
	PUT(writer, ",\"epoch\":");
	put_integer(writer, state->epoch);
	PUT(writer, ",\"version\":");
	put_integer(writer, state->version);
}

static bool
make_balance(const AccountState *state, BridgeEvents *events)
{
	BridgeEvent *event = add_event(events, BANK_TOPIC_BALANCES,
								   BANK_EVENT_BALANCE_UPDATED);
	Writer		writer = {.text = event->value, .size = sizeof(event->value)};

	put_account_head(&writer, state);
	PUT(&writer, ",\"balance\":");
	put_integer(&writer, state->balance);
	PUT(&writer, ",\"held\":");
	put_integer(&writer, state->held);
	put_status_and_version(&writer, state);
	PUT(&writer, ",\"transfer_id\":");
	put_uuid(&writer, state->transfer_id);
	PUT(&writer, ",\"occurred_at\":");
	put_time(&writer, state->at);
	PUT(&writer, "}");
	event->value_length = writer.length;
	return make_account_id(event, state, false) && !writer.overrun;
}

static bool
make_account(const AccountState *state, const char *type, BridgeEvents *events)
{
	BridgeEvent *event = add_event(events, BANK_TOPIC_ACCOUNTS, type);
	Writer		writer = {.text = event->value, .size = sizeof(event->value)};

	put_account_head(&writer, state);
	put_status_and_version(&writer, state);
	PUT(&writer, ",\"occurred_at\":");
	put_time(&writer, state->at);
	PUT(&writer, "}");
	event->value_length = writer.length;
	return make_account_id(event, state, true) && !writer.overrun;
}

bool
bridge_event_make_state(const BridgeAccountEvent *row, int32_t epoch,
						BridgeEvents *events)
{
	AccountState state = {
		.account_id = &row->account_id, .customer_id = &row->customer_id,
		.transfer_id = &row->transfer_id, .at = &row->occurred_at,
		.currency = row->currency, .status = row->status,
		.balance = row->balance, .held = row->held,
		.version = row->version, .epoch = epoch
	};

	events->count = 0;
	if (!is_status(row->status) || !is_word(row->currency) ||
		!make_balance(&state, events))
		return false;
	if (IS(row->kind, "created"))
		return make_account(&state, BANK_EVENT_ACCOUNT_CREATED, events);
	if (IS(row->kind, "inactivated"))
		return make_account(&state, BANK_EVENT_ACCOUNT_INACTIVATED, events);
	return true;
}

static void
put_parties(Writer *writer, const BridgeTransferRow *row)
{
	PUT(writer, "{\"transfer_id\":");
	put_uuid(writer, &row->transfer_id);
	PUT(writer, ",\"kind\":");
	put_word(writer, row->kind);
	PUT(writer, ",\"customer_id\":");
	put_uuid(writer, &row->customer_id);
	PUT(writer, ",\"from_account\":");
	put_uuid(writer, &row->from_account);
	PUT(writer, ",\"to_account\":");
	put_uuid(writer, &row->to_account);
}

static void
put_posting(Writer *writer, const BridgeTransferRow *row, int32_t epoch)
{
	PUT(writer, ",\"amount\":");
	put_integer(writer, row->amount);
	PUT(writer, ",\"currency\":");
	put_word(writer, row->currency);
	PUT(writer, ",\"epoch\":");
	put_integer(writer, epoch);
	PUT(writer, ",\"completed_at\":");
	put_time(writer, &row->completed_at);
	PUT(writer, ",\"from_version\":");
	put_integer(writer, row->from_version);
	PUT(writer, ",\"to_version\":");
	put_integer(writer, row->to_version);
	PUT(writer, ",\"from_balance\":");
	put_integer(writer, row->from_balance);
	PUT(writer, ",\"to_balance\":");
	put_integer(writer, row->to_balance);
	PUT(writer, ",\"reverses\":");
	put_uuid(writer, &row->reverses);
	PUT(writer, ",\"reference\":");
	put_text(writer, row->reference);
	PUT(writer, "}");
}

static bool
make_transfer(const BridgeTransferRow *row, int32_t epoch, BridgeEvents *events)
{
	BridgeEvent *event = add_event(events, BANK_TOPIC_TRANSFERS,
								   BANK_EVENT_TRANSFER_COMPLETED);
	Writer		writer = {.text = event->value, .size = sizeof(event->value)};

	put_parties(&writer, row);
	put_posting(&writer, row, epoch);
	event->value_length = writer.length;
	memcpy(event->id, row->transfer_id.text, BANK_UUID_SIZE);
	event->id_length = BANK_UUID_LENGTH;
	event->key = row->customer_id.text;
	event->time = row->completed_at.text;
	return !writer.overrun;
}

bool
bridge_event_make_transfer(const BridgeTransferRow *row, int32_t epoch,
						   BridgeEvents *events)
{
	events->count = 0;
	return is_transfer_kind(row->kind) && is_word(row->currency) &&
		make_transfer(row, epoch, events);
}

static bool
is_settlement(const BridgeUuid *account_id)
{
	return strncmp(account_id->text, BANK_SETTLEMENT_PREFIX,
				   sizeof(BANK_SETTLEMENT_PREFIX) - 1) == 0;
}

/* Money moves between active accounts of one holder, or settlement's. */
static AccountState
state_after(const BridgeTransferRow *row, int32_t epoch,
			const BridgeUuid *account_id)
{
	return (AccountState)
	{
		.account_id = account_id,
			.customer_id = is_settlement(account_id) ? &no_uuid : &row->customer_id,
			.transfer_id = &row->transfer_id, .at = &row->completed_at,
			.currency = row->currency, .status = LITERAL("active"),
			.epoch = epoch
	};
}

static bool
make_transfer_events(const BridgeTransferRow *row, int32_t epoch,
					 BridgeEvents *events)
{
	AccountState payer = state_after(row, epoch, &row->from_account);
	AccountState payee = state_after(row, epoch, &row->to_account);

	payer.balance = row->from_balance;
	payer.held = row->from_held;
	payer.version = row->from_version;
	payee.balance = row->to_balance;
	payee.held = row->to_held;
	payee.version = row->to_version;
	return bridge_event_make_transfer(row, epoch, events) &&
		make_balance(&payer, events) && make_balance(&payee, events);
}

static void
put_bytes(Writer *writer, BridgeValue bytes)
{
	static const char digits[] = "0123456789abcdef";

	PUT(writer, "\"");
	for (size_t i = 0; i < bytes.length; i++)
	{
		unsigned char byte = (unsigned char) bytes.data[i];

		put(writer, &digits[byte >> 4], 1);
		put(writer, &digits[byte & 15], 1);
	}
	PUT(writer, "\"");
}

/* "seal:<epoch>:<number>" */
static bool
make_seal_id(BridgeEvent *event, const BridgeSealRow *row, int32_t epoch)
{
	Writer		writer = {.text = event->id, .size = sizeof(event->id)};

	PUT(&writer, "seal:");
	put_integer(&writer, epoch);
	PUT(&writer, ":");
	put_integer(&writer, row->number);
	event->id_length = writer.length;
	return !writer.overrun;
}

static bool
make_seal(const BridgeSealRow *row, int32_t epoch, BridgeEvents *events)
{
	BridgeEvent *event = add_event(events, BANK_TOPIC_SEALS,
								   BANK_EVENT_LEDGER_SEALED);
	Writer		writer = {.text = event->value, .size = sizeof(event->value)};

	PUT(&writer, "{\"number\":");
	put_integer(&writer, row->number);
	PUT(&writer, ",\"entries\":");
	put_integer(&writer, row->entries);
	PUT(&writer, ",\"root\":");
	put_bytes(&writer, row->root);
	PUT(&writer, ",\"previous\":");
	put_bytes(&writer, row->previous);
	PUT(&writer, ",\"epoch\":");
	put_integer(&writer, epoch);
	PUT(&writer, ",\"sealed_at\":");
	put_time(&writer, &row->sealed_at);
	PUT(&writer, "}");
	event->value_length = writer.length;
	event->key = events->site;
	event->time = row->sealed_at.text;
	return make_seal_id(event, row, epoch) && !writer.overrun;
}

bool
bridge_event_make(const BridgeJournalRow *row, int32_t epoch,
				  BridgeEvents *events)
{
	events->count = 0;
	switch (row->table)
	{
		case BRIDGE_JOURNAL_ACCOUNT_EVENT:
			return is_event_kind(row->account_event.kind) &&
				bridge_event_make_state(&row->account_event, epoch, events);
		case BRIDGE_JOURNAL_TRANSFER:
			return make_transfer_events(&row->transfer, epoch, events);
		case BRIDGE_JOURNAL_SEAL:
			return make_seal(&row->seal, epoch, events);
		case BRIDGE_JOURNAL_HEARTBEAT:
		case BRIDGE_JOURNAL_EPOCH:
			return true;
	}
	return false;
}
