/*
 * What an error of Kafka means to whoever runs the bridge, and what helps.
 *
 * A process remembers the trouble it is in, for /health, until it is told
 * that Kafka does again what it was asked to do.  Brokers that are away are
 * no trouble: they come back.
 */
#ifndef BRIDGE_TROUBLE_H
#define BRIDGE_TROUBLE_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>

/* True, remembered, and logged where it is new, for an error that lasts. */
extern bool bridge_trouble_note(rd_kafka_resp_err_t error, const char *topic);

/* Kafka does what it is asked. */
extern void bridge_trouble_end(void);

/* The trouble this process is in; otherwise, where there is none. */
extern const char *bridge_trouble_or(const char *otherwise);

/* What helps against an error; empty where nothing is known to. */
extern const char *bridge_trouble_hint(rd_kafka_resp_err_t error);

#endif
