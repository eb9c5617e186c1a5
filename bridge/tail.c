/*
 * The tails of all partitions publish writes, compared with the stream.
 *
 * A producer that is gone may still have requests on their way, hence the
 * wait for ends that stand still; that of bank.dead need not, since the other
 * roles write there too, at any time.  And what it had written may not be shown
 * before a replica has it, or is given up, hence the longer one.  A partition
 * has what one producer wrote to it without holes; where one is met
 * nevertheless, an event is not sent behind a higher version of its account,
 * which a compacted topic would then forget.
 *
 * Memory: what the cursors fetch ahead, and the versions of a partition in
 * which a hole was met.
 */
#include "tail.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "contract.h"
#include "cursor.h"
#include "database.h"
#include "kafka.h"
#include "log.h"
#include "replicas.h"
#include "role.h"
#include "trouble.h"
#include "versions.h"

#define TOPICS BRIDGE_REPLICAS_TOPICS
#define SETTLE_TICK_MS 100
#define SETTLE_LIMIT_MS 60000

/* Steps back from the end, each so many times the one before. */
#define STEP_FACTOR 16

/*
 * The letters of other roles say no place, and there may be any number: one of
 * ours behind more of them is sent again.
 */
#define LETTER_STEP_MAX 4096

typedef struct TailPartition
{
	BridgeCursor cursor;
	bool		loaded;			/* the cursor's record is not yet passed */
	bool		ended;
	bool		found;			/* the begin of what is asked for */
	bool		last_is_placed; /* its last record's place was noted */
	BridgeVersions versions;	/* empty until a hole is met */
	int32_t		versions_epoch; /* whose they are; 0: of none */
} TailPartition;

typedef struct TailTopic
{
	const char *name;
	rd_kafka_topic_t *handle;
	int			count;
	TailPartition *partitions;
} TailTopic;

struct BridgeTail
{
	rd_kafka_t *client;
	TailTopic	topics[TOPICS];
	rd_kafka_topic_partition_list_t *list;	/* all partitions, in this order */
	const BridgePulse *pulse;	/* goes on while Kafka is asked */
	BridgeReplicas replicas;
	BridgePlace last;			/* of all records */
};

static bool
unknown(const char *topic, rd_kafka_resp_err_t error)
{
	bridge_log(BRIDGE_LOG_WARNING, "topic could not be looked at",
			   "topic=%s error=%s", topic, rd_kafka_err2str(error));
	bridge_trouble_note(error, topic);
	return false;
}

static bool
count_partitions(BridgeTail *tail)
{
	rd_kafka_topic_t *handles[TOPICS];
	int			counts[TOPICS];
	int			wrong;
	rd_kafka_resp_err_t error;

	for (int t = 0; t < TOPICS; t++)
		handles[t] = tail->topics[t].handle;
	error = bridge_ask_counts(tail->client, handles, counts, TOPICS, &wrong,
							  tail->pulse);
	if (error != RD_KAFKA_RESP_ERR_NO_ERROR)
		return unknown(tail->topics[wrong].name, error);
	for (int t = 0; t < TOPICS; t++)
		tail->topics[t].count = counts[t];
	return true;
}

static bool
add_partitions(BridgeTail *tail, TailTopic *topic)
{
	topic->partitions = calloc((size_t) topic->count, sizeof(TailPartition));
	if (topic->partitions == NULL)
		return false;
	for (int i = 0; i < topic->count; i++)
	{
		topic->partitions[i].cursor.topic = topic->handle;
		topic->partitions[i].cursor.partition = i;
		topic->partitions[i].cursor.pulse = tail->pulse;
		topic->partitions[i].cursor.end = -1;
		rd_kafka_topic_partition_list_add(tail->list, topic->name, i);
	}
	return true;
}

static bool
add_topics(BridgeTail *tail)
{
	for (int t = 0; t < TOPICS; t++)
	{
		tail->topics[t].name = t < BRIDGE_EVENT_TOPICS ? bridge_event_topics[t] :
			BANK_TOPIC_DEAD;
		tail->topics[t].handle = rd_kafka_topic_new(tail->client,
													tail->topics[t].name, NULL);
	}
	if (!count_partitions(tail))
		return false;
	tail->list = rd_kafka_topic_partition_list_new(TOPICS);
	for (int t = 0; t < TOPICS; t++)
		if (!add_partitions(tail, &tail->topics[t]))
			return false;
	return true;
}

/* Asks where all partitions begin, or end. */
static bool
ask(BridgeTail *tail, int64_t which)
{
	rd_kafka_resp_err_t error =
	bridge_ask_offsets(tail->client, tail->list, which, tail->pulse);

	return error == RD_KAFKA_RESP_ERR_NO_ERROR || unknown("bank.*", error);
}

/* Asks for all ends; *moved where one that we alone write is not where it was. */
static bool
ask_ends(BridgeTail *tail, bool *moved)
{
	const rd_kafka_topic_partition_t *place;

	*moved = false;
	if (!ask(tail, RD_KAFKA_OFFSET_END))
		return false;
	place = tail->list->elems;
	for (int t = 0; t < TOPICS; t++)
	{
		for (int i = 0; i < tail->topics[t].count; i++, place++)
		{
			BridgeCursor *cursor = &tail->topics[t].partitions[i].cursor;

			*moved = *moved ||
				(t < BRIDGE_EVENT_TOPICS && cursor->end != place->offset);
			cursor->end = place->offset;
		}
	}
	return true;
}

static bool
ask_begins(BridgeTail *tail)
{
	const rd_kafka_topic_partition_t *place;

	if (!ask(tail, RD_KAFKA_OFFSET_BEGINNING))
		return false;
	place = tail->list->elems;
	for (int t = 0; t < TOPICS; t++)
		for (int i = 0; i < tail->topics[t].count; i++, place++)
			tail->topics[t].partitions[i].cursor.first = place->offset;
	return true;
}

/* *changed where leaders, or the sets in sync, are not what they were. */
static bool
ask_replicas(BridgeTail *tail, bool *changed)
{
	rd_kafka_topic_t *handles[TOPICS];
	uint64_t	digest = tail->replicas.digest;
	int			wrong;
	rd_kafka_resp_err_t error;

	for (int t = 0; t < TOPICS; t++)
		handles[t] = tail->topics[t].handle;
	error = bridge_replicas_ask(tail->client, handles, &tail->replicas, &wrong,
								tail->pulse);
	*changed = tail->replicas.digest != digest;
	return error == RD_KAFKA_RESP_ERR_NO_ERROR ||
		unknown(tail->topics[wrong].name, error);
}

/* Nobody has written since one left that had nothing on its way. */
static bool
is_as_left(const BridgeTail *tail, const BridgeEnds *left)
{
	if (left == NULL)
		return false;
	for (int t = 0; t < BRIDGE_EVENT_TOPICS; t++)
		for (int i = 0; i < tail->topics[t].count; i++)
			if (tail->topics[t].partitions[i].cursor.end != bridge_ends_get(left, t, i))
				return false;
	return true;
}

/* Asks for all that must not move; *moved where something did. */
static bool
look(BridgeTail *tail, bool *moved)
{
	bool		changed = false;
	bool		looked = tail->replicas.digest == 0 || tail->replicas.exist;

	if (!ask_ends(tail, moved) || (looked && !ask_replicas(tail, &changed)))
		return false;
	*moved = *moved || changed;
	return true;
}

/* Why a short wait may not do; NULL: it does.  Logged where it is new. */
static const char *
find_reason(const BridgeTail *tail, BridgeTailWait *wait)
{
	const BridgeReplicas *replicas = &tail->replicas;
	const char *reason = NULL;

	if (!is_as_left(tail, wait->left))
		reason = replicas->lack ? "kafka has too few replicas in sync" :
			replicas->hide ? "waiting for what kafka may not show yet" : NULL;
	if (reason != NULL && reason != wait->reason)
		bridge_log(BRIDGE_LOG_INFO, reason, "replica_lag_ms=%" PRId64 " wait_ms=%"
				   PRId64, replicas->lag_ms, bridge_replicas_hide_ms(replicas));
	wait->reason = reason;
	return reason;
}

/* Between an answer and the next question at least, nothing has moved. */
static bool
wait_for_ends(BridgeTail *tail, int64_t settle_ms, BridgeTailWait *wait)
{
	int64_t		began = bridge_clock_ms();
	int64_t		asked_at;
	int64_t		still_since = began;
	int64_t		still_ms;
	bool		moved;

	do
	{
		asked_at = bridge_clock_ms();
		if (!look(tail, &moved))
		{
			wait->reason = NULL;
			return false;
		}
		still_ms = settle_ms;
		if (find_reason(tail, wait) != NULL)
			still_ms += bridge_replicas_hide_ms(&tail->replicas);
		if (moved)
			still_since = bridge_clock_ms();
		else if (asked_at - still_since >= still_ms &&
				 (wait->reason == NULL || !tail->replicas.lack))
		{
			wait->reason = NULL;
			return true;
		}
		bridge_stop_sleep(SETTLE_TICK_MS);
	} while (bridge_clock_ms() - began < SETTLE_LIMIT_MS + still_ms);
	if (wait->reason == NULL)
		bridge_log(BRIDGE_LOG_WARNING, "somebody else writes to the topics",
				   "settle_ms=%" PRId64, settle_ms);
	return false;
}

/* Reads the next record into the partition. */
static bool
load(TailPartition *partition)
{
	BridgeCursorRead read = bridge_cursor_read(&partition->cursor);

	partition->loaded = read == BRIDGE_CURSOR_RECORD;
	partition->ended = read == BRIDGE_CURSOR_END;
	return read != BRIDGE_CURSOR_UNKNOWN;
}

static void
note_place(BridgeTail *tail, const TailPartition *partition)
{
	if (bridge_place_compare(&partition->cursor.place, &tail->last) > 0)
		tail->last = partition->cursor.place;
}

/* Reads on to the end, for its last place, and comes back. */
static bool
note_places_behind(BridgeTail *tail, TailPartition *partition)
{
	int64_t		here = partition->cursor.offset;

	while (partition->loaded)
	{
		note_place(tail, partition);
		if (!load(partition))
			return false;
	}
	bridge_cursor_seek(&partition->cursor, here);
	return load(partition);
}

static bool
is_before(const TailPartition *partition, const BridgePlace *from)
{
	return partition->loaded &&
		bridge_place_compare(&partition->cursor.place, from) < 0;
}

/* How far from the end, and not before the first record. */
static int64_t
step_back(const BridgeCursor *cursor, int64_t step)
{
	return cursor->end - step > cursor->first ? cursor->end - step : cursor->first;
}

/* Fetches from there on, in all partitions whose begin is not found. */
static bool
begin_step(BridgeTail *tail, int64_t step)
{
	for (int t = 0; t < TOPICS; t++)
	{
		for (int i = 0; i < tail->topics[t].count; i++)
		{
			TailPartition *partition = &tail->topics[t].partitions[i];
			BridgeCursor *cursor = &partition->cursor;

			if (partition->found)
				continue;
			bridge_cursor_seek(cursor, step_back(cursor, step));
			if (!bridge_cursor_begin(cursor))
				return false;
		}
	}
	return true;
}

/* Nothing of the partition is asked for. */
static void
pass_all(TailPartition *partition)
{
	bridge_cursor_stop(&partition->cursor);
	partition->loaded = false;
	partition->ended = true;
}

/* Whether the step went back far enough; false where Kafka does not say. */
static bool
judge_step(BridgeTail *tail, TailPartition *partition, int64_t step,
		   int64_t step_max, const BridgePlace *from)
{
	const BridgeCursor *cursor = &partition->cursor;

	if (!load(partition))
		return false;
	if (step == 1 && partition->loaded)
	{
		note_place(tail, partition);
		partition->last_is_placed = true;
	}
	partition->found = is_before(partition, from) || step >= step_max ||
		step_back(cursor, step) == cursor->first;
	if (!partition->found)
		return true;
	if (step == 1 && is_before(partition, from))
		pass_all(partition);
	return !partition->loaded || partition->last_is_placed ||
		note_places_behind(tail, partition);
}

/* *more where a partition's begin is still not found. */
static bool
take_step(BridgeTail *tail, int64_t step, const BridgePlace *from, bool *more)
{
	*more = false;
	if (!begin_step(tail, step))
		return false;
	for (int t = 0; t < TOPICS; t++)
	{
		int64_t		step_max = t < BRIDGE_EVENT_TOPICS ? INT64_MAX : LETTER_STEP_MAX;

		for (int i = 0; i < tail->topics[t].count; i++)
		{
			TailPartition *partition = &tail->topics[t].partitions[i];

			if (!partition->found &&
				!judge_step(tail, partition, step, step_max, from))
				return false;
			*more = *more || !partition->found;
		}
	}
	return true;
}

static void
pass_empty(BridgeTail *tail)
{
	for (int t = 0; t < TOPICS; t++)
	{
		for (int i = 0; i < tail->topics[t].count; i++)
		{
			TailPartition *partition = &tail->topics[t].partitions[i];

			partition->ended = partition->cursor.first >= partition->cursor.end;
			partition->found = partition->ended;
		}
	}
}

/*
 * Goes back from the ends until records are before the place, in all
 * partitions together, so that a slow network is waited for once a step.
 */
static bool
find_begins(BridgeTail *tail, const BridgePlace *from)
{
	int64_t		step = 1;
	bool		more = true;

	if (!ask_begins(tail))
		return false;
	pass_empty(tail);
	while (more)
	{
		if (!take_step(tail, step, from, &more))
			return false;
		step *= STEP_FACTOR;
	}
	return true;
}

static bool
note_ends(const BridgeTail *tail, BridgeEnds *ends)
{
	for (int t = 0; t < BRIDGE_EVENT_TOPICS; t++)
		for (int i = 0; i < tail->topics[t].count; i++)
			if (!bridge_ends_raise(ends, t, i,
								   tail->topics[t].partitions[i].cursor.end))
				return false;
	return true;
}

bool
bridge_tail_open(const BridgeConfig *config, const BridgePlace *from,
				 BridgeEnds *ends, const BridgePulse *pulse, BridgeTailWait *wait,
				 BridgeTail **tail)
{
	BridgeTail *opened = calloc(1, sizeof(BridgeTail));

	*tail = NULL;
	if (opened == NULL)
		return false;
	opened->pulse = pulse;
	opened->client = bridge_cursor_client(config);
	if (opened->client == NULL || !add_topics(opened) ||
		!wait_for_ends(opened, config->kafka_settle_ms, wait) ||
		!note_ends(opened, ends) || !find_begins(opened, from))
	{
		bridge_tail_close(opened);
		return false;
	}
	if (bridge_tail_ends_before(opened, from))
		bridge_tail_close(opened);
	else
		*tail = opened;
	return true;
}

bool
bridge_tail_ask_ends(const BridgeConfig *config, BridgeEnds *ends)
{
	BridgeTail *tail = calloc(1, sizeof(BridgeTail));
	bool		moved;
	bool		known;

	if (tail == NULL)
		return false;
	tail->client = bridge_cursor_client(config);
	known = tail->client != NULL && add_topics(tail) && ask_ends(tail, &moved) &&
		note_ends(tail, ends);
	bridge_tail_close(tail);
	return known;
}

bool
bridge_tail_ends_before(const BridgeTail *tail, const BridgePlace *place)
{
	return bridge_place_compare(&tail->last, place) < 0;
}

static TailTopic *
find_topic(BridgeTail *tail, const char *name)
{
	int			t = 0;

	while (t < TOPICS - 1 && strcmp(tail->topics[t].name, name) != 0)
		t++;
	return &tail->topics[t];
}

/* The partition is chosen as the producer does. */
static TailPartition *
find_partition(BridgeTail *tail, const BridgeTailQuestion *question)
{
	TailTopic  *topic = find_topic(tail, question->topic);
	const char *key = question->key;
	int32_t		partition =
	rd_kafka_msg_partitioner_murmur2(topic->handle, key, strlen(key),
									 topic->count, NULL, NULL);

	return &topic->partitions[partition];
}

/* Reads the rest of the partition for the versions of an epoch, and comes back. */
static BridgeTailAnswer
learn_versions(TailPartition *partition, int32_t epoch)
{
	BridgeCursor *cursor = &partition->cursor;
	int64_t		here = cursor->offset;

	bridge_versions_free(&partition->versions);
	partition->versions_epoch = epoch;
	do
	{
		if (cursor->version > 0 && cursor->account_id[0] != '\0' &&
			cursor->place.epoch == epoch &&
			!bridge_versions_raise(&partition->versions, cursor->account_id,
								   cursor->version))
		{
			bridge_log(BRIDGE_LOG_ERROR, "too many accounts to compare",
					   "topic=%s partition=%" PRId32 " hint=%s",
					   rd_kafka_topic_name(cursor->topic), cursor->partition,
					   "Run bank-bridge rebuild.");
			return BRIDGE_TAIL_LOST;
		}
		if (!load(partition))
			return BRIDGE_TAIL_UNKNOWN;
	} while (partition->loaded);
	bridge_cursor_seek(cursor, here);
	return load(partition) ? BRIDGE_TAIL_LACKING : BRIDGE_TAIL_UNKNOWN;
}

/* The partition goes on behind the place, and has no record there. */
static BridgeTailAnswer
judge_hole(TailPartition *partition, const BridgeTailQuestion *question)
{
	BridgeTailAnswer answer = BRIDGE_TAIL_LACKING;

	if (question->version == 0)
		return BRIDGE_TAIL_LACKING;
	if (partition->versions_epoch != question->place.epoch)
		answer = learn_versions(partition, question->place.epoch);
	if (answer != BRIDGE_TAIL_LACKING)
		return answer;
	return bridge_versions_highest(&partition->versions, question->key) >=
		question->version ? BRIDGE_TAIL_PRESENT : BRIDGE_TAIL_LACKING;
}

/* Something stands at this very place. */
static BridgeTailAnswer
judge_match(TailPartition *partition, const BridgeTailQuestion *question)
{
	const BridgeCursor *cursor = &partition->cursor;
	char		lsn[BRIDGE_LSN_SIZE];

	partition->loaded = false;
	if (strlen(cursor->id) == question->id_length &&
		memcmp(cursor->id, question->id, question->id_length) == 0)
		return BRIDGE_TAIL_PRESENT;
	bridge_database_format_lsn(question->place.lsn, lsn);
	bridge_log(BRIDGE_LOG_ERROR, "kafka has another record at this place",
			   "topic=%s partition=%" PRId32 " offset=%" PRId64 " lsn=%s"
			   " index=%" PRId64 " ce_id=%s hint=%s", question->topic,
			   cursor->partition, cursor->offset, lsn, question->place.index,
			   cursor->id, "Run bank-bridge rebuild --new-epoch.");
	return BRIDGE_TAIL_LOST;
}

BridgeTailAnswer
bridge_tail_ask(BridgeTail *tail, const BridgeTailQuestion *question)
{
	TailPartition *partition = find_partition(tail, question);

	while (!partition->ended)
	{
		int			order;

		if (!partition->loaded && !load(partition))
			return BRIDGE_TAIL_UNKNOWN;
		if (partition->ended)
			break;
		order = bridge_place_compare(&partition->cursor.place, &question->place);
		if (order > 0)
			return judge_hole(partition, question);
		if (order == 0)
			return judge_match(partition, question);
		partition->loaded = false;
	}
	return BRIDGE_TAIL_LACKING;
}

bool
bridge_tail_each(BridgeTail *tail, const char *topic,
				 bool (*take) (const BridgeCursor *record, void *context),
				 void *context)
{
	TailTopic  *found = find_topic(tail, topic);

	for (int i = 0; i < found->count; i++)
	{
		TailPartition *partition = &found->partitions[i];

		while (!partition->ended)
		{
			if (partition->loaded && !take(&partition->cursor, context))
				return false;
			if (!load(partition))
				return false;
		}
	}
	return true;
}

void
bridge_tail_close(BridgeTail *tail)
{
	if (tail == NULL)
		return;
	for (int t = 0; t < TOPICS; t++)
	{
		TailTopic  *topic = &tail->topics[t];

		for (int i = 0; topic->partitions != NULL && i < topic->count; i++)
		{
			bridge_cursor_stop(&topic->partitions[i].cursor);
			bridge_versions_free(&topic->partitions[i].versions);
		}
		free(topic->partitions);
		if (topic->handle != NULL)
			rd_kafka_topic_destroy(topic->handle);
	}
	if (tail->list != NULL)
		rd_kafka_topic_partition_list_destroy(tail->list);
	if (tail->client != NULL)
		rd_kafka_destroy(tail->client);
	free(tail);
}
