/*
 * From messages of the plugin to events in the producer.
 */
#include "stream.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "contract.h"
#include "log.h"
#include "metrics.h"

void
bridge_stream_create(BridgeStream *stream, BridgeProducer *producer,
					 int32_t epoch, uint64_t epoch_lsn,
					 uint64_t done_lsn)
{
	*stream = (BridgeStream)
	{
		.producer = producer, .epoch = epoch, .epoch_lsn = epoch_lsn,
			.done_lsn = done_lsn, .sent_index = -1
	};
	bridge_metrics_set(BRIDGE_METRIC_PUBLISH_EPOCH, epoch);
}

BridgePlace
bridge_stream_place(const BridgeStream *stream, uint64_t lsn)
{
	return (BridgePlace)
	{
		.epoch = stream->epoch, .lsn = lsn
	};
}

void
bridge_stream_restart(BridgeStream *stream)
{
	bridge_journal_reset(&stream->journal);
	stream->in_transaction = false;
}

static BridgeExit
refuse(BridgeExit code, const char *what, const char *error, uint64_t lsn)
{
	char		text[BRIDGE_LSN_SIZE];

	bridge_database_format_lsn(lsn, text);
	bridge_log(BRIDGE_LOG_ERROR, what, "lsn=%s error=%s", text, error);
	return code;
}

/* Decides whether the transaction is new, sent, or was cut off in between. */
static BridgeExit
take_begin(BridgeStream *stream, uint64_t commit_lsn)
{
	bool		repeated = commit_lsn < stream->done_lsn;

	if (stream->in_transaction)
		return refuse(BRIDGE_EXIT_FAILED, "transaction begins within another",
					  "no commit was seen", commit_lsn);
	if (!repeated && stream->open && commit_lsn != stream->sent_lsn)
		return refuse(BRIDGE_EXIT_LOST, "stream differs from the one before",
					  "the transaction that was cut off does not come again",
					  commit_lsn);
	stream->in_transaction = true;
	stream->repeated = repeated;
	stream->commit_lsn = commit_lsn;
	stream->index = 0;
	bridge_database_format_lsn(commit_lsn, stream->lsn_text);
	if (repeated || stream->open)
		return BRIDGE_EXIT_OK;
	bridge_inflight_begin(&stream->producer->inflight);
	stream->open = true;
	stream->sent_lsn = commit_lsn;
	stream->sent_index = -1;
	return BRIDGE_EXIT_OK;
}

/* Everything that was in Kafka at the start lies behind. */
static void
end_comparison(BridgeStream *stream)
{
	bridge_log(BRIDGE_LOG_INFO, "compared with kafka", "lsn=%s suppressed=%"
			   PRId64, stream->lsn_text,
			   bridge_metrics_get(BRIDGE_METRIC_PUBLISH_SUPPRESSED));
	bridge_tail_close(stream->tail);
	stream->tail = NULL;
	stream->compared = true;
}

static BridgeExit
take_commit(BridgeStream *stream, uint64_t end_lsn)
{
	BridgePlace next = bridge_stream_place(stream, stream->commit_lsn + 1);

	if (!stream->in_transaction)
		return refuse(BRIDGE_EXIT_FAILED, "commit without a begin",
					  "no begin was seen", end_lsn);
	stream->in_transaction = false;
	if (stream->tail != NULL && bridge_tail_ends_before(stream->tail, &next))
		end_comparison(stream);
	if (stream->repeated)
		return BRIDGE_EXIT_OK;
	bridge_inflight_commit(&stream->producer->inflight, end_lsn);
	stream->open = false;
	stream->done_lsn = stream->commit_lsn + 1;
	bridge_metrics_add(BRIDGE_METRIC_PUBLISH_TRANSACTIONS, 1);
	return BRIDGE_EXIT_OK;
}

/*
 * The epoch's own row is where it begins.  A row read again, after a cut in
 * its transaction, changes nothing.
 */
static BridgeExit
take_epoch(BridgeStream *stream, int32_t number)
{
	if (number == stream->epoch)
		return BRIDGE_EXIT_OK;
	if (number != stream->epoch + 1)
	{
		bridge_log(BRIDGE_LOG_ERROR, "epoch does not follow the one before",
				   "lsn=%s epoch=%" PRId32 " before=%" PRId32,
				   stream->lsn_text, number, stream->epoch);
		return BRIDGE_EXIT_LOST;
	}
	stream->epoch = number;
	stream->epoch_lsn = stream->commit_lsn + 1;
	bridge_metrics_set(BRIDGE_METRIC_PUBLISH_EPOCH, number);
	bridge_log(BRIDGE_LOG_INFO, "epoch begins", "lsn=%s epoch=%" PRId32,
			   stream->lsn_text, number);
	return BRIDGE_EXIT_OK;
}

/* Whether Kafka lacks a record: OK, or the code to leave with. */
static int
compare(BridgeStream *stream, const BridgeTailQuestion *question, bool *lacking)
{
	*lacking = true;
	if (stream->tail == NULL)
		return BRIDGE_EXIT_OK;
	switch (bridge_tail_ask(stream->tail, question))
	{
		case BRIDGE_TAIL_LACKING:
			return BRIDGE_EXIT_OK;
		case BRIDGE_TAIL_PRESENT:
			*lacking = false;
			bridge_metrics_add(BRIDGE_METRIC_PUBLISH_SUPPRESSED, 1);
			return BRIDGE_EXIT_OK;
		case BRIDGE_TAIL_UNKNOWN:
			return BRIDGE_SESSION_RETRY;
		case BRIDGE_TAIL_LOST:
			break;
	}
	return BRIDGE_EXIT_LOST;
}

/* The place of the next record of the transaction. */
static BridgePlace
next_place(BridgeStream *stream)
{
	return (BridgePlace)
	{
		.epoch = stream->epoch, .lsn = stream->commit_lsn,
			.index = stream->index++
	};
}

static int
send_event(BridgeStream *stream, const BridgeEvent *event)
{
	BridgeTailQuestion question = {
		.topic = event->topic, .key = event->key, .id = event->id,
		.id_length = event->id_length, .version = event->version,
		.place = next_place(stream)
	};
	bool		lacking;
	int			code;

	if (question.place.index <= stream->sent_index)
		return BRIDGE_EXIT_OK;
	code = compare(stream, &question, &lacking);
	if (code != BRIDGE_EXIT_OK)
		return code;
	if (lacking && !bridge_producer_send(stream->producer, event,
										 stream->lsn_text, question.place.index))
		return BRIDGE_EXIT_KAFKA;
	stream->sent_index = question.place.index;
	return BRIDGE_EXIT_OK;
}

static int
send_events(BridgeStream *stream)
{
	int			code = BRIDGE_EXIT_OK;

	for (int i = 0; code == BRIDGE_EXIT_OK && i < stream->events.count; i++)
		code = send_event(stream, &stream->events.events[i]);
	return code;
}

/* What makes no event, where it stands among those of its transaction. */
static int
bury(BridgeStream *stream, const char *reason)
{
	BridgeTailQuestion question = {
		.topic = BANK_TOPIC_DEAD, .key = stream->lsn_text, .id = "",
		.place = next_place(stream)
	};
	bool		lacking;
	int			code;

	if (question.place.index <= stream->sent_index)
		return BRIDGE_EXIT_OK;
	code = compare(stream, &question, &lacking);
	if (code != BRIDGE_EXIT_OK)
		return code;
	if (lacking && !bridge_producer_bury(stream->producer, &stream->received,
										 reason, stream->lsn_text,
										 &question.place))
		return BRIDGE_EXIT_KAFKA;
	stream->sent_index = question.place.index;
	return BRIDGE_EXIT_OK;
}

static int
take_row(BridgeStream *stream)
{
	const BridgeTuple *tuple = &stream->message.tuple;
	BridgeJournalRow row;

	if (!stream->in_transaction)
		return refuse(BRIDGE_EXIT_FAILED, "row outside of a transaction",
					  "no begin was seen", 0);
	if (stream->repeated)
		return BRIDGE_EXIT_OK;
	if (!bridge_journal_knows(&stream->journal, tuple))
		return bury(stream, "row of a table that is not the journal's");
	if (!bridge_journal_read(&stream->journal, tuple, &row))
		return bury(stream, stream->journal.error);
	if (row.table == BRIDGE_JOURNAL_HEARTBEAT)
		bridge_metrics_add(BRIDGE_METRIC_PUBLISH_HEARTBEATS, 1);
	if (row.table == BRIDGE_JOURNAL_EPOCH)
		return take_epoch(stream, row.epoch.number);
	if (!bridge_event_make(&row, stream->epoch, &stream->events))
		return bury(stream, "row has a word that no event knows");
	return send_events(stream);
}

/* A table that is none of the journal's: its rows will be buried. */
static BridgeExit
pass_relation(const BridgeRelation *relation)
{
	bridge_log(BRIDGE_LOG_WARNING, "table in the publication is not the journal's",
			   "table=%s.%s relation=%" PRIu32 " hint=%s", relation->schema,
			   relation->name, relation->relation_id,
			   "Run bank-bridge init, which resets the publication.");
	return BRIDGE_EXIT_OK;
}

static BridgeExit
take_relation(BridgeStream *stream, uint64_t lsn)
{
	char		text[BRIDGE_LSN_SIZE];

	if (!bridge_journal_is_ours(&stream->message.relation))
		return pass_relation(&stream->message.relation);
	if (bridge_journal_learn(&stream->journal, &stream->message.relation))
		return BRIDGE_EXIT_OK;
	bridge_database_format_lsn(stream->in_transaction ? stream->commit_lsn : lsn,
							   text);
	bridge_log(BRIDGE_LOG_ERROR, "table has an unknown shape",
			   "lsn=%s error=%s hint=%s", text, stream->journal.error,
			   "Run bank-bridge init, and do what it says.");
	return BRIDGE_EXIT_MISSING;
}

/* Without a begin nobody knows where it stands; that ends the role. */
static int
take_garbled(BridgeStream *stream, const char *error, uint64_t lsn)
{
	if (!stream->in_transaction)
		return refuse(BRIDGE_EXIT_FAILED, "message is not understood", error,
					  lsn);
	return stream->repeated ? BRIDGE_EXIT_OK : bury(stream, error);
}

int
bridge_stream_take(BridgeStream *stream, const char *data, size_t length,
				   uint64_t lsn)
{
	const char *error = bridge_pgoutput_decode(data, length, &stream->message);

	stream->received = (BridgeValue)
	{
		data, length
	};
	if (error != NULL)
		return take_garbled(stream, error, lsn);
	switch (stream->message.kind)
	{
		case BRIDGE_PGOUTPUT_BEGIN:
			return take_begin(stream, stream->message.commit_lsn);
		case BRIDGE_PGOUTPUT_COMMIT:
			return take_commit(stream, stream->message.end_lsn);
		case BRIDGE_PGOUTPUT_RELATION:
			return take_relation(stream, lsn);
		case BRIDGE_PGOUTPUT_INSERT:
			return take_row(stream);
		case BRIDGE_PGOUTPUT_IGNORED:
			break;
	}
	return BRIDGE_EXIT_OK;
}
