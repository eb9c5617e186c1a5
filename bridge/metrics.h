/*
 * Counters, gauges and the health of every role, in memory that the
 * supervisor shares with its roles.
 *
 * Promises: a role only writes its own; reading is possible at any moment,
 * also after a role was killed while writing.
 */
#ifndef BRIDGE_METRICS_H
#define BRIDGE_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "role.h"

/*
 * role, symbol, type, name after "bank_bridge_", help.  The type "age" is a
 * gauge in seconds that is kept as the date it is counted from: first the start,
 * so that it grows until told, and again where its role can tell no more.
 */
#define BRIDGE_METRIC_TABLE(X) \
	X(PUBLISH, PUBLISH_TRANSACTIONS, "counter", "publish_transactions_total", \
	  "Transactions of the ledger read from the slot.") \
	X(PUBLISH, PUBLISH_RECORDS, "counter", "publish_records_total", \
	  "Records handed to the Kafka producer.") \
	X(PUBLISH, PUBLISH_ACKNOWLEDGED, "counter", "publish_acknowledged_total", \
	  "Records the brokers have acknowledged.") \
	X(PUBLISH, PUBLISH_SUPPRESSED, "counter", "publish_suppressed_total", \
	  "Records that were in Kafka already after a restart, and not sent.") \
	X(PUBLISH, PUBLISH_FOREIGN, "counter", "publish_foreign_total", \
	  "Records between those of this publisher that it did not write.") \
	X(PUBLISH, PUBLISH_DEAD, "counter", "publish_dead_total", \
	  "Rows of the stream that went to bank.dead.") \
	X(PUBLISH, PUBLISH_IN_FLIGHT, "gauge", "publish_in_flight_records", \
	  "Records handed to the producer and not yet acknowledged.") \
	X(PUBLISH, PUBLISH_IN_FLIGHT_TRANSACTIONS, "gauge", \
	  "publish_in_flight_transactions", \
	  "Transactions with a record that is not yet acknowledged.") \
	X(PUBLISH, PUBLISH_CONFIRMED_LSN, "gauge", "publish_confirmed_lsn", \
	  "Last LSN confirmed to the slot, as a number.") \
	X(PUBLISH, PUBLISH_LAG_BYTES, "gauge", "publish_lag_bytes", \
	  "WAL written after the confirmed LSN.") \
	X(PUBLISH, PUBLISH_LAG_SECONDS, "age", "publish_lag_seconds", \
	  "Since when WAL waits, or may wait unseen, to be confirmed.") \
	X(PUBLISH, PUBLISH_SLOT_STATE, "gauge", "publish_slot_state", \
	  "The slot's WAL: 0 reserved, 1 extended, 2 unreserved, 3 lost.") \
	X(PUBLISH, PUBLISH_QUEUE_BYTES, "gauge", "publish_queue_bytes", \
	  "Values handed to the producer and not yet acknowledged.") \
	X(PUBLISH, PUBLISH_DELIVERY_ERRORS, "counter", "publish_delivery_errors_total", \
	  "Records the brokers refused, or gave no answer about.") \
	X(PUBLISH, PUBLISH_SAFE_WAL_BYTES, "gauge", "publish_safe_wal_bytes", \
	  "WAL that may be written before the slot is lost; -1 where unlimited.") \
	X(PUBLISH, PUBLISH_ACCOUNTS_AHEAD, "gauge", "publish_accounts_ahead", \
	  "Accounts too far ahead of the clock to be posted to; counted every 10 minutes.") \
	X(PUBLISH, PUBLISH_SEAL_AGE, "age", "publish_seal_age_seconds", \
	  "Age of the newest seal published; since the start until there is one.") \
	X(PUBLISH, PUBLISH_CONNECTS, "counter", "publish_connects_total", \
	  "Replication connections begun.") \
	X(PUBLISH, PUBLISH_HEARTBEATS, "counter", "publish_heartbeats_total", \
	  "Heartbeats that came back through the slot.") \
	X(PUBLISH, PUBLISH_EPOCH, "gauge", "publish_epoch", \
	  "Epoch of the records now written.") \
	X(PROJECT, PROJECT_RECORDS, "counter", "project_records_total", \
	  "Balance records read.") \
	X(PROJECT, PROJECT_APPLIED, "counter", "project_applied_total", \
	  "Rows of the read model that a record made newer.") \
	X(PROJECT, PROJECT_CACHED, "counter", "project_cached_total", \
	  "Balances written to Redis.") \
	X(PROJECT, PROJECT_REDIS_ERRORS, "counter", "project_redis_errors_total", \
	  "Failed exchanges with Redis.") \
	X(PROJECT, PROJECT_DATABASE_ERRORS, "counter", "project_database_errors_total", \
	  "Failed transactions in the search database.") \
	X(PROJECT, PROJECT_LAG_RECORDS, "gauge", "project_lag_records", \
	  "Records in Kafka that are not yet applied.") \
	X(PROJECT, PROJECT_LAG_SECONDS, "age", "project_lag_seconds", \
	  "Since when records wait, or may wait unseen, to be applied.") \
	X(PROJECT, PROJECT_DEAD, "counter", "project_dead_total", \
	  "Records not understood, and written to bank.dead.") \
	X(REPORT, REPORT_RECORDS, "counter", "report_records_total", \
	  "Transfer records read.") \
	X(REPORT, REPORT_STORED, "counter", "report_stored_total", \
	  "Notifications stored.") \
	X(REPORT, REPORT_SENT, "counter", "report_sent_total", \
	  "First attempts sent to BACEN.") \
	X(REPORT, REPORT_DELIVERED, "counter", "report_delivered_total", \
	  "First attempts that BACEN accepted.") \
	X(REPORT, REPORT_REFUSED, "counter", "report_refused_total", \
	  "First attempts that BACEN refused for ever.") \
	X(REPORT, REPORT_DEFERRED, "counter", "report_deferred_total", \
	  "Notifications left to the retry.") \
	X(REPORT, REPORT_DATABASE_ERRORS, "counter", "report_database_errors_total", \
	  "Failed transactions in the report database.") \
	X(REPORT, REPORT_DEAD, "counter", "report_dead_total", \
	  "Records not understood, and written to bank.dead.") \
	X(REPORT, REPORT_PHANTOMS, "counter", "report_phantoms_total", \
	  "Transfer records that the ledger lost, and that are not told.") \
	X(REPORT, REPORT_LAG_RECORDS, "gauge", "report_lag_records", \
	  "Records in Kafka that are not yet stored.") \
	X(REPORT, REPORT_LAG_SECONDS, "age", "report_lag_seconds", \
	  "Since when records wait, or may wait unseen, to be stored.") \
	X(REPORT, REPORT_PENDING, "gauge", "report_pending", \
	  "Notifications that BACEN has not taken, and that wait.") \
	X(REPORT, REPORT_SENDING, "gauge", "report_sending", \
	  "Notifications under a lease: being sent.") \
	X(REPORT, REPORT_GIVEN_UP, "gauge", "report_given_up", \
	  "Notifications that are dead until requeued.") \
	X(REPORT, REPORT_OLDEST, "age", "report_oldest_seconds", \
	  "Age of the oldest transfer that BACEN has not taken.") \
	X(REPORT, REPORT_CIRCUIT, "gauge", "report_circuit", \
	  "Circuit towards BACEN: 0 closed, 1 half open, 2 open.")

/* The date of an "age" that is 0 for now: nothing is there to be old. */
#define BRIDGE_METRICS_NOTHING INT64_MAX

typedef enum BridgeMetric
{
#define X(role, symbol, type, name, help) BRIDGE_METRIC_##symbol,
	BRIDGE_METRIC_TABLE(X)
#undef X
	BRIDGE_METRIC_COUNT
} BridgeMetric;

/*
 * Makes the shared memory; called once, before any fork.  Returns false where
 * the kernel gives none.
 */
extern bool bridge_metrics_create(void);

extern void bridge_metrics_add(BridgeMetric metric, int64_t amount);
extern void bridge_metrics_set(BridgeMetric metric, int64_t value);
extern int64_t bridge_metrics_get(BridgeMetric metric);

/* Sets an "age" to that of something of this date, unless it is older. */
extern void bridge_metrics_renew(BridgeMetric metric, int64_t date_ms);

/* Says which role runs in process pid; pid 0 says that it is down. */
extern void bridge_metrics_role(BridgeRole role, pid_t pid);

/* Makes the role one of those that /metrics and /health speak of. */
extern void bridge_metrics_expect(BridgeRole role);

/*
 * The role's own statement, one short sentence; a role is unhealthy until it
 * says otherwise, and again whenever its process is gone.
 */
extern void bridge_health_set(BridgeRole role, bool healthy, const char *reason);

/*
 * Says that the role's process has ended, and how; what it was unhealthy of
 * at the end is kept.
 */
extern void bridge_health_end(BridgeRole role, const char *end);

/*
 * Writes all metrics in Prometheus text, or the health as JSON, and returns
 * malloc'd memory of the caller, or NULL where there is none.
 */
extern char *bridge_metrics_text(size_t *length);
extern char *bridge_health_text(size_t *length, bool *healthy);

#endif
