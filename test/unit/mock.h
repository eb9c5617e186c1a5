/*
 * librdkafka's mock broker, with the topics of publish, for tests of what it
 * does with Kafka.
 */
#ifndef MOCK_H
#define MOCK_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <stdlib.h>

#include "config.h"
#include "contract.h"
#include "event.h"

typedef struct Mock
{
	rd_kafka_t *client;			/* the cluster is a part of it */
	rd_kafka_mock_cluster_t *cluster;
	BridgeConfig config;		/* leads to the cluster */
} Mock;

/* settings: further lines of the section kafka.  A topic is on all brokers. */
static inline void
mock_start_replicated(Mock *mock, int brokers, int partitions, const char *settings)
{
	char		error[256];
	char		path[] = "/tmp/bank-test-mock-XXXXXX";
	FILE	   *file = fdopen(mkstemp(path), "w");

	mock->client = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), error,
								sizeof(error));
	mock->cluster = rd_kafka_mock_cluster_new(mock->client, brokers);
	rd_kafka_mock_topic_create(mock->cluster, BANK_TOPIC_DEAD, partitions, brokers);
	for (int i = 0; i < BRIDGE_EVENT_TOPICS; i++)
		rd_kafka_mock_topic_create(mock->cluster, bridge_event_topics[i], partitions,
								   brokers);
	fprintf(file, "[kafka]\n%s\nbootstrap.servers = %s\n", settings,
			rd_kafka_mock_cluster_bootstraps(mock->cluster));
	fclose(file);
	bridge_config_load(path, &mock->config);
	remove(path);
}

static inline void
mock_start(Mock *mock, int partitions, const char *settings)
{
	mock_start_replicated(mock, 1, partitions, settings);
}

static inline void
mock_stop(Mock *mock)
{
	bridge_config_free(&mock->config);
	rd_kafka_mock_cluster_destroy(mock->cluster);
	rd_kafka_destroy(mock->client);
}

#endif
