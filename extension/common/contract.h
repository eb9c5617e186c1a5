/*
 * The words the extension and bank-bridge share: names of tables, topics,
 * slot, publication and limits.  Included by both programs, so it knows
 * neither of them.
 */
#ifndef BANK_CONTRACT_H
#define BANK_CONTRACT_H

#define BANK_VERSION "1.0"

/* Where events come from. */
#define BANK_PUBLICATION "bank"
#define BANK_SLOT "bank_bridge"
#define BANK_LEDGER_SCHEMA "bank_ledger"
#define BANK_TABLE_ACCOUNT_EVENT "account_event"
#define BANK_TABLE_TRANSFER "transfer"
#define BANK_TABLE_HEARTBEAT "heartbeat"
#define BANK_TABLE_EPOCH "epoch"
#define BANK_TABLE_SEAL "seal"

/* Where events go. */
#define BANK_TOPIC_ACCOUNTS "bank.accounts"
#define BANK_TOPIC_BALANCES "bank.balances"
#define BANK_TOPIC_TRANSFERS "bank.transfers"
#define BANK_TOPIC_SEALS "bank.seals"
#define BANK_TOPIC_DEAD "bank.dead"
#define BANK_TOPIC_BRIDGE "bank.bridge"

#define BANK_EVENT_ACCOUNT_CREATED "bank.account.created"
#define BANK_EVENT_ACCOUNT_INACTIVATED "bank.account.inactivated"
#define BANK_EVENT_BALANCE_UPDATED "bank.balance.updated"
#define BANK_EVENT_TRANSFER_COMPLETED "bank.transfer.completed"
#define BANK_EVENT_LEDGER_SEALED "bank.ledger.sealed"

/* SQL for a timestamptz as RFC 3339 text in UTC, six decimals and Z. */
#define BANK_SQL_TIME(column) \
	"pg_catalog.to_char(" column " AT TIME ZONE 'UTC', " \
	"'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')"

/* How the ids of settlement accounts begin, in text. */
#define BANK_SETTLEMENT_PREFIX "62616e6b-0000-8000-8000-00"

/* Redis: one hash per account, "bank:balance:<account_id>". */
#define BANK_REDIS_PREFIX "bank:balance:"

/* Beside them one text: how far they were filled, by whoever fills them. */
#define BANK_REDIS_NOTE "bank:cached"

/* Where notifications go: the path is part of the configured URL. */
#define BANK_HEADER_IDEMPOTENCY_KEY "Idempotency-Key"
#define BANK_HEADER_ATTEMPT "X-Attempt"

/* Largest amount and balance: the integers a double holds exactly. */
#define BANK_AMOUNT_MAX INT64_C(9007199254740991)

/* Length of a uuid in text, without and with the closing NUL. */
#define BANK_UUID_LENGTH 36
#define BANK_UUID_SIZE 37

#endif
