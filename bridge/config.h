/*
 * The configuration: one INI file, each name also by environment.
 *
 * Promises: what is returned is complete and in range.  Lives as long as the
 * process.
 */
#ifndef BRIDGE_CONFIG_H
#define BRIDGE_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* One property of librdkafka, passed through: name without "kafka.". */
typedef struct BridgeKafkaProperty
{
	char	   *name;
	char	   *value;
} BridgeKafkaProperty;

/* Texts are never NULL; one that was not given is empty. */
typedef struct BridgeConfig
{
	char	   *site_name;
	char	   *init_ledger_dsn;
	char	   *init_search_dsn;
	char	   *publish_dsn;
	int64_t		publish_heartbeat_s;
	char	   *project_dsn;
	char	   *report_dsn;
	int64_t		topics_partitions;
	int64_t		topics_replication_factor;	/* -1: the broker's default */
	int64_t		topics_min_insync_replicas; /* 0: the broker's default */
	int64_t		topics_compaction_lag_ms;
	int64_t		topics_transfers_retention_ms;
	char	   *redis_url;
	int64_t		redis_timeout_ms;
	char	   *bacen_url;
	char	   *bacen_ca;
	char	   *bacen_certificate;
	char	   *bacen_key;
	int64_t		bacen_timeout_ms;
	int64_t		bacen_parallel;
	char	   *http_address;
	int64_t		http_port;
	int64_t		kafka_settle_ms;
	BridgeKafkaProperty *kafka;
	size_t		kafka_count;
} BridgeConfig;

/*
 * Reads file (NULL: none) and the environment, which wins.  Returns false
 * after having logged what is unknown, malformed or out of range.
 */
extern bool bridge_config_load(const char *file, BridgeConfig *config);

/*
 * Logs and returns false where the setting, by its dotted name, is empty:
 * each command asks for what it needs.
 */
extern bool bridge_config_require(const BridgeConfig *config, const char *name);

/* Prints the effective configuration in the file's format, secrets masked. */
extern void bridge_config_print(const BridgeConfig *config, FILE *stream);

extern void bridge_config_free(BridgeConfig *config);

#endif
