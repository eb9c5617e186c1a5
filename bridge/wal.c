/*
 * The replication connection.
 */
#include "wal.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bytes.h"
#include "clock.h"
#include "contract.h"
#include "database.h"
#include "log.h"

#define SQLSTATE_OBJECT_IN_USE "55006"
#define SQLSTATE_UNDEFINED_FILE "58P01"
#define SQLSTATE_UNDEFINED_OBJECT "42704"
#define UNIX_SECONDS_OF_2000 946684800
#define FEEDBACK_SIZE 34
#define END_TIMEOUT_MS 500

static const char start_command[] =
	"START_REPLICATION SLOT \"" BANK_SLOT "\" LOGICAL 0/0 "
	"(proto_version '1', publication_names '\"" BANK_PUBLICATION "\"', binary 'true')";

static bool
lost(const BridgeWal *wal)
{
	bridge_log(BRIDGE_LOG_WARNING, "replication connection lost", "error=%s",
			   PQerrorMessage(wal->conn));
	return false;
}

static bool
identify(BridgeWal *wal, BridgeWalIdentity *identity)
{
	PGresult   *result = PQexec(wal->conn, "IDENTIFY_SYSTEM");
	bool		done = PQresultStatus(result) == PGRES_TUPLES_OK;

	if (done)
	{
		/* The identifier is unsigned here and signed in SQL. */
		identity->system_identifier =
			(int64_t) strtoull(PQgetvalue(result, 0, 0), NULL, 10);
		identity->timeline = (int32_t) strtol(PQgetvalue(result, 0, 1), NULL, 10);
	}
	else
		lost(wal);
	PQclear(result);
	return done;
}

bool
bridge_wal_connect(BridgeWal *wal, const char *dsn, BridgeWalIdentity *identity)
{
	memset(wal, 0, sizeof(*wal));
	wal->conn = bridge_database_connect(dsn, BRIDGE_DATABASE_REPLICATION);
	if (wal->conn == NULL)
		return false;
	if (identify(wal, identity))
		return true;
	bridge_wal_close(wal);
	return false;
}

BridgeWalStart
bridge_wal_start(BridgeWal *wal)
{
	PGresult   *result = PQexec(wal->conn, start_command);
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	BridgeWalStart started = BRIDGE_WAL_REFUSED;

	if (PQresultStatus(result) == PGRES_COPY_BOTH &&
		PQsetnonblocking(wal->conn, 1) == 0)
		started = BRIDGE_WAL_STARTED;
	else if (state != NULL && strcmp(state, SQLSTATE_OBJECT_IN_USE) == 0)
		started = BRIDGE_WAL_ACTIVE;
	if (started != BRIDGE_WAL_STARTED)
		bridge_log(BRIDGE_LOG_WARNING, "could not start the stream", "error=%s",
				   PQerrorMessage(wal->conn));
	PQclear(result);
	return started;
}

bool
bridge_wal_consume(BridgeWal *wal)
{
	return PQconsumeInput(wal->conn) == 1 || lost(wal);
}

static bool
parse_frame(BridgeWal *wal, BridgeWalFrame *frame, size_t length)
{
	BridgeBytes bytes = {.next = frame->buffer, .left = length};
	uint8_t		kind = bridge_bytes_uint8(&bytes);

	frame->lsn = bridge_bytes_uint64(&bytes);
	bridge_bytes_uint64(&bytes);	/* end of WAL, or the server's time */
	if (kind == 'k')
		frame->reply_requested = bridge_bytes_uint8(&bytes) != 0;
	else
	{
		bridge_bytes_uint64(&bytes);	/* the server's time */
		frame->data = bytes.next;
		frame->length = bytes.left;
	}
	if (frame->lsn > wal->received_lsn)
		wal->received_lsn = frame->lsn;
	return !bytes.overrun && (kind == 'k' || kind == 'w');
}

static BridgeWalRead
judge_end(BridgeWal *wal)
{
	PGresult   *result = PQgetResult(wal->conn);
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	bool		missing = state != NULL &&
	(strcmp(state, SQLSTATE_UNDEFINED_FILE) == 0 ||
	 strcmp(state, SQLSTATE_UNDEFINED_OBJECT) == 0);

	if (missing)
		bridge_log(BRIDGE_LOG_ERROR, "server lacks WAL that the slot needs, or the"
				   " publication of its time",
				   "error=%s hint=%s", PQresultErrorMessage(result),
				   "Run bank-bridge rebuild.");
	else
		bridge_log(BRIDGE_LOG_WARNING, "stream ended by the server", "error=%s",
				   PQresultErrorMessage(result));
	PQclear(result);
	return missing ? BRIDGE_WAL_LOST : BRIDGE_WAL_CLOSED;
}

BridgeWalRead
bridge_wal_read(BridgeWal *wal, BridgeWalFrame *frame)
{
	int			length;

	memset(frame, 0, sizeof(*frame));
	length = PQgetCopyData(wal->conn, &frame->buffer, 1);
	if (length == 0)
		return BRIDGE_WAL_NOTHING;
	if (length < 0)
		return judge_end(wal);
	if (parse_frame(wal, frame, (size_t) length))
		return BRIDGE_WAL_FRAME;
	bridge_wal_release(frame);
	bridge_log(BRIDGE_LOG_ERROR, "frame is not understood", "length=%d", length);
	return BRIDGE_WAL_CLOSED;
}

void
bridge_wal_release(BridgeWalFrame *frame)
{
	PQfreemem(frame->buffer);
	frame->buffer = NULL;
}

static uint64_t
server_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t) (now.tv_sec - UNIX_SECONDS_OF_2000) * 1000000 +
		(uint64_t) now.tv_nsec / 1000;
}

bool
bridge_wal_confirm(BridgeWal *wal, uint64_t lsn, bool ask)
{
	char		feedback[FEEDBACK_SIZE] = {'r'};
	uint64_t	received = wal->received_lsn > lsn ? wal->received_lsn : lsn;

	bridge_bytes_put_uint64(feedback + 1, received);
	bridge_bytes_put_uint64(feedback + 9, lsn);
	bridge_bytes_put_uint64(feedback + 17, lsn);
	bridge_bytes_put_uint64(feedback + 25, server_time());
	feedback[FEEDBACK_SIZE - 1] = ask;
	if (PQputCopyData(wal->conn, feedback, sizeof(feedback)) < 0)
		return lost(wal);
	return bridge_wal_flush(wal);
}

bool
bridge_wal_flush(BridgeWal *wal)
{
	int			left = PQflush(wal->conn);

	wal->unsent = left > 0;
	return left >= 0 || lost(wal);
}

/* Passes over what the server still had to say, until its own end. */
static bool
reached_end(BridgeWal *wal)
{
	BridgeWalFrame frame = {0};
	int			length;

	while ((length = PQgetCopyData(wal->conn, &frame.buffer, 1)) > 0)
		bridge_wal_release(&frame);
	return length < 0;
}

void
bridge_wal_end(BridgeWal *wal)
{
	int64_t		deadline = bridge_clock_ms() + END_TIMEOUT_MS;

	if (wal->conn == NULL || PQputCopyEnd(wal->conn, NULL) != 1)
		return;
	while (bridge_clock_ms() < deadline)
	{
		struct pollfd fd = {.fd = PQsocket(wal->conn), .events = POLLIN};

		if (PQflush(wal->conn) > 0)
			fd.events |= POLLOUT;
		poll(&fd, 1, END_TIMEOUT_MS / 10);
		if (PQconsumeInput(wal->conn) == 0 || reached_end(wal))
			return;
	}
}

void
bridge_wal_close(BridgeWal *wal)
{
	PQfinish(wal->conn);
	wal->conn = NULL;
	wal->unsent = false;
}
