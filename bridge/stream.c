/*
 * From messages of the plugin to events in the producer.
 */
#include "stream.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "metrics.h"

void
bridge_stream_create(BridgeStream *stream, BridgeProducer *producer,
					 int32_t epoch, uint64_t epoch_lsn)
{
	*stream = (BridgeStream)
	{
		.producer = producer, .epoch = epoch, .epoch_lsn = epoch_lsn,
			.sent_index = -1
	};
	bridge_metrics_set(BRIDGE_METRIC_PUBLISH_EPOCH, epoch);
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
	bool		repeated = commit_lsn <= stream->done_lsn;

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

static BridgeExit
take_commit(BridgeStream *stream, uint64_t end_lsn)
{
	if (!stream->in_transaction)
		return refuse(BRIDGE_EXIT_FAILED, "commit without a begin",
					  "no begin was seen", end_lsn);
	stream->in_transaction = false;
	if (stream->repeated)
		return BRIDGE_EXIT_OK;
	bridge_inflight_commit(&stream->producer->inflight, end_lsn);
	stream->open = false;
	stream->done_lsn = stream->commit_lsn;
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

static BridgeExit
send_events(BridgeStream *stream)
{
	for (int i = 0; i < stream->events.count; i++)
	{
		int64_t		index = stream->index++;

		if (index <= stream->sent_index)
			continue;
		if (!bridge_producer_send(stream->producer, &stream->events.events[i],
								  stream->lsn_text, index))
			return BRIDGE_EXIT_KAFKA;
		stream->sent_index = index;
	}
	return BRIDGE_EXIT_OK;
}

static BridgeExit
take_row(BridgeStream *stream)
{
	BridgeJournalRow row;

	if (!stream->in_transaction)
		return refuse(BRIDGE_EXIT_FAILED, "row outside of a transaction",
					  "no begin was seen", 0);
	if (stream->repeated)
		return BRIDGE_EXIT_OK;
	if (!bridge_journal_read(&stream->journal, &stream->message.tuple, &row))
		return refuse(BRIDGE_EXIT_FAILED, "row is not understood",
					  stream->journal.error, stream->commit_lsn);
	if (row.table == BRIDGE_JOURNAL_HEARTBEAT)
		bridge_metrics_add(BRIDGE_METRIC_PUBLISH_HEARTBEATS, 1);
	if (row.table == BRIDGE_JOURNAL_EPOCH)
		return take_epoch(stream, row.epoch.number);
	if (!bridge_event_make(&row, stream->epoch, &stream->events))
		return refuse(BRIDGE_EXIT_FAILED, "row makes no event",
					  bridge_journal_table_name(row.table), stream->commit_lsn);
	return send_events(stream);
}

static BridgeExit
take_relation(BridgeStream *stream, uint64_t lsn)
{
	if (bridge_journal_learn(&stream->journal, &stream->message.relation))
		return BRIDGE_EXIT_OK;
	return refuse(BRIDGE_EXIT_MISSING, "table has an unknown shape",
				  stream->journal.error,
				  stream->in_transaction ? stream->commit_lsn : lsn);
}

BridgeExit
bridge_stream_take(BridgeStream *stream, const char *data, size_t length,
				   uint64_t lsn)
{
	const char *error = bridge_pgoutput_decode(data, length, &stream->message);

	if (error != NULL)
		return refuse(BRIDGE_EXIT_FAILED, "message is not understood", error,
					  stream->in_transaction ? stream->commit_lsn : lsn);
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
