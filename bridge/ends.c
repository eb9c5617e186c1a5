/*
 * Ends of partitions.
 */
#include "ends.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

#define MEMBER "ends"

int
bridge_ends_find(const char *topic)
{
	int			number = BRIDGE_EVENT_TOPICS - 1;

	while (number >= 0 && strcmp(bridge_event_topics[number], topic) != 0)
		number--;
	return number;
}

static bool
extend(BridgeEnds *ends, int topic, int32_t count)
{
	int64_t    *next = realloc(ends->next[topic], (size_t) count * sizeof(*next));
	uint64_t   *sent = realloc(ends->sent[topic], (size_t) count * sizeof(*sent));

	if (next != NULL)
		ends->next[topic] = next;
	if (sent != NULL)
		ends->sent[topic] = sent;
	if (next == NULL || sent == NULL)
		return false;
	for (int32_t p = ends->counts[topic]; p < count; p++)
	{
		next[p] = 0;
		sent[p] = 0;
	}
	ends->counts[topic] = count;
	return true;
}

bool
bridge_ends_raise(BridgeEnds *ends, int topic, int32_t partition, int64_t next)
{
	if (partition >= ends->counts[topic] && !extend(ends, topic, partition + 1))
		return false;
	if (next > ends->next[topic][partition])
		ends->next[topic][partition] = next;
	return true;
}

bool
bridge_ends_allow(const BridgeEnds *ends, int topic, int32_t partition,
				  int64_t offset, uint64_t transaction)
{
	return offset >= bridge_ends_get(ends, topic, partition) ||
		transaction <= ends->sent[topic][partition];
}

bool
bridge_ends_note(BridgeEnds *ends, int topic, int32_t partition, int64_t offset,
				 uint64_t transaction)
{
	if (!bridge_ends_raise(ends, topic, partition, offset + 1))
		return false;
	if (transaction > ends->sent[topic][partition])
		ends->sent[topic][partition] = transaction;
	return true;
}

int64_t
bridge_ends_get(const BridgeEnds *ends, int topic, int32_t partition)
{
	return partition < ends->counts[topic] ? ends->next[topic][partition] : 0;
}

int64_t
bridge_ends_gap(const BridgeEnds *ends, int topic, int32_t partition, int64_t offset)
{
	int64_t		end = bridge_ends_get(ends, topic, partition);

	return partition < ends->counts[topic] && offset > end ? offset - end : 0;
}

bool
bridge_ends_fall_short(const BridgeEnds *known, const BridgeEnds *found, int topic)
{
	for (int32_t p = 0; p < known->counts[topic]; p++)
		if (bridge_ends_get(found, topic, p) < known->next[topic][p])
			return true;
	return false;
}

bool
bridge_ends_check(const BridgeEnds *known, const BridgeEnds *found)
{
	for (int t = 0; t < BRIDGE_EVENT_TOPICS; t++)
	{
		for (int32_t p = 0; p < known->counts[t]; p++)
		{
			int64_t		end = bridge_ends_get(found, t, p);

			if (end >= known->next[t][p])
				continue;
			bridge_log(BRIDGE_LOG_ERROR, "topic was made anew or has lost records",
					   "topic=%s partition=%" PRId32 " end=%" PRId64
					   " known_end=%" PRId64 " hint=%s", bridge_event_topics[t], p,
					   end, known->next[t][p], "Run bank-bridge rebuild.");
			return false;
		}
	}
	return true;
}

char *
bridge_ends_append(const BridgeEnds *ends, const char *object, size_t *length)
{
	char	   *text = NULL;
	FILE	   *stream = open_memstream(&text, length);

	if (stream == NULL)
		return NULL;
	fprintf(stream, "%.*s,\"" MEMBER "\":{", (int) strlen(object) - 1, object);
	for (int t = 0; t < BRIDGE_EVENT_TOPICS; t++)
	{
		fprintf(stream, "%s\"%s\":[", t > 0 ? "," : "", bridge_event_topics[t]);
		for (int32_t p = 0; p < ends->counts[t]; p++)
			fprintf(stream, "%s%" PRId64, p > 0 ? "," : "", ends->next[t][p]);
		fputc(']', stream);
	}
	fputs("}}", stream);
	if (fclose(stream) == 0)
		return text;
	free(text);
	return NULL;
}

void
bridge_ends_free(BridgeEnds *ends)
{
	for (int t = 0; t < BRIDGE_EVENT_TOPICS; t++)
	{
		free(ends->next[t]);
		free(ends->sent[t]);
	}
	memset(ends, 0, sizeof(*ends));
}

void
bridge_ends_parse(const char *text, size_t length, BridgeEnds *ends)
{
	json_t	   *json = json_loadb(text, length, 0, NULL);
	json_t	   *member = json_object_get(json, MEMBER);

	bridge_ends_free(ends);
	for (int t = 0; t < BRIDGE_EVENT_TOPICS; t++)
	{
		json_t	   *list = json_object_get(member, bridge_event_topics[t]);

		for (size_t p = 0; p < json_array_size(list); p++)
			bridge_ends_raise(ends, t, (int32_t) p,
							  json_integer_value(json_array_get(list, p)));
	}
	json_decref(json);
}
