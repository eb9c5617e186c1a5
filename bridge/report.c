/*
 * The role report: records of bank.transfers to bank_report.notification, and
 * one attempt each to tell BACEN.
 *
 * A row is committed with the offset before anything is sent, as being sent
 * and under a lease; whatever happens to this process, the retry takes over
 * at its end.  Where no attempt is free a row is stored for the retry at
 * once, so that a slow BACEN never slows storing.
 *
 * Promises:  invariant 11; nothing is acknowledged that was not stored.
 * Memory:    one batch of BATCH_MAX records, bacen.parallel attempts and
 *            their results.
 * Not here:  every attempt after the first (bank_report.retry).
 */
#include "role.h"

#include <inttypes.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "clock.h"
#include "consumer.h"
#include "contract.h"
#include "dead.h"
#include "lineage.h"
#include "log.h"
#include "metrics.h"
#include "notification.h"
#include "sending.h"
#include "trouble.h"

#define BATCH_MAX 500
#define GROUP "bank-bridge.report"
#define IDLE_WAIT_MS 250
#define RETRY_MIN_MS 100
#define RETRY_MAX_MS 5000
#define STOP_GRACE_MS 3000
#define BACKLOG_PERIOD_MS 5000

static const char no_answer[] = "kafka does not answer";

static const char *const circuit_reasons[] = {
	[BRIDGE_CIRCUIT_CLOSED] = "",
	[BRIDGE_CIRCUIT_HALF_OPEN] = "the circuit to BACEN is half open",
	[BRIDGE_CIRCUIT_OPEN] = "the circuit to BACEN is open; transfers are stored"
};

typedef struct Report
{
	BridgeConsumerSpec spec;
	BridgeStore store;
	BridgeDeadWriter dead;
	BridgeConsumer *consumer;	/* NULL: not begun */
	BridgeOffsets offsets;		/* stored */
	BridgeSending *sending;
	int64_t		timeout_ms;
	int			parallel;		/* attempts under way at most */
	int			wake_fd;		/* readable with records or at the stop */
	int			begin_wait_ms;
	int64_t		backlog_ms;		/* when it is counted next */
	BridgeCircuit circuit;		/* as last seen */
	BridgeNotification batch[BATCH_MAX];
	int			count;			/* notifications in the batch */
	bool		full;			/* more records may wait */
	bool		ends_early;		/* a record after it could not be buried */
	BridgeOffsets reached;		/* after the batch */
	int			letters;		/* buried, once bank.dead has them */
	int			whole_count;	/* notifications before the first letter */
	BridgeOffsets whole;		/* reached before it */
	BridgeResult results[BRIDGE_SENDING_MAX];
	int			result_count;	/* not yet stored */
} Report;

static void
say_unhealthy(const char *reason)
{
	bridge_health_set(BRIDGE_ROLE_REPORT, false, reason);
}

/* The role ends, and says why. */
static int
leave_kafka(void)
{
	say_unhealthy(bridge_trouble_or("the topic cannot be read"));
	return BRIDGE_EXIT_KAFKA;
}

/* Back to the state before bridge_consumer_open. */
static void
leave(Report *report)
{
	bridge_consumer_close(report->consumer);
	report->consumer = NULL;
	if (report->wake_fd >= 0)
		close(report->wake_fd);
	report->wake_fd = -1;
}

static void
note_store_failure(Report *report)
{
	bridge_metrics_add(BRIDGE_METRIC_REPORT_DATABASE_ERRORS, 1);
	bridge_log(BRIDGE_LOG_WARNING, "report database failed", "reason=%s",
			   report->store.error);
	say_unhealthy("the report database does not answer");
	leave(report);
}

static bool
watch(int wake_fd, int fd)
{
	struct epoll_event event = {.events = EPOLLIN,.data.fd = fd};

	return epoll_ctl(wake_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* One descriptor for both: the pool of attempts waits on one beside its own. */
static bool
watch_events(Report *report)
{
	report->wake_fd = epoll_create1(EPOLL_CLOEXEC);
	return report->wake_fd >= 0 &&
		watch(report->wake_fd, bridge_consumer_fd(report->consumer)) &&
		watch(report->wake_fd, bridge_stop_fd());
}

/*
 * Nothing is read from Kafka for a ledger that may not have it.  Asked once the
 * brokers have answered, and of the very connection that stores.
 */
static int
check_lineage(Report *report)
{
	switch (bridge_lineage_check(&report->store, report->spec.config))
	{
		case BRIDGE_LINEAGE_OURS:
			return BRIDGE_EXIT_OK;
		case BRIDGE_LINEAGE_LOST:
			say_unhealthy("kafka is not of this ledger");
			return BRIDGE_EXIT_LOST;
		case BRIDGE_LINEAGE_UNKNOWN:
			say_unhealthy(bridge_trouble_or(no_answer));
			leave(report);
			break;
		case BRIDGE_LINEAGE_FAILED:
			note_store_failure(report);
			break;
	}
	return BRIDGE_EXIT_OK;
}

static void
tell_reading(const Report *report)
{
	bridge_log(BRIDGE_LOG_INFO, "reading", "topic=%s partitions=%d generation=%s",
			   report->spec.topic, report->offsets.count,
			   report->store.generation);
}

/* Connects, and opens the topic where the database says. */
static int
begin(Report *report)
{
	BridgeConsumerState state;
	int			code;

	if (!bridge_store_connect(&report->store) ||
		!bridge_notification_load(&report->store, report->spec.topic,
								  &report->offsets))
	{
		note_store_failure(report);
		return BRIDGE_EXIT_OK;
	}
	state = bridge_consumer_open(&report->spec, &report->offsets,
								 &report->consumer);
	if (state == BRIDGE_CONSUMER_FAILED)
		return leave_kafka();
	if (state != BRIDGE_CONSUMER_READY)
	{
		say_unhealthy(bridge_trouble_or(no_answer));
		return BRIDGE_EXIT_OK;
	}
	code = check_lineage(report);
	if (code != BRIDGE_EXIT_OK || report->consumer == NULL)
		return code;
	if (!watch_events(report))
		return BRIDGE_EXIT_FAILED;
	report->reached = report->offsets;
	report->begin_wait_ms = RETRY_MIN_MS;
	report->full = false;
	tell_reading(report);
	return BRIDGE_EXIT_OK;
}

/* What is not understood is passed over once it is in bank.dead. */
static bool
bury(Report *report, const rd_kafka_message_t *message,
	 const BridgeProblem *problem)
{
	if (report->letters == 0)
	{
		report->whole = report->reached;
		report->whole_count = report->count;
	}
	if (bridge_stop_requested() ||
		!bridge_dead_write(&report->dead, message, problem->text))
		return false;
	report->letters++;
	return true;
}

/* Without its letters the batch ends before the first of them. */
static void
settle_letters(Report *report)
{
	if (report->letters == 0)
		return;
	if (bridge_dead_wait(&report->dead))
	{
		bridge_metrics_add(BRIDGE_METRIC_REPORT_DEAD, report->letters);
		return;
	}
	report->reached = report->whole;
	report->count = report->whole_count;
	report->ends_early = true;
}

static bool
add_record(Report *report, const rd_kafka_message_t *message)
{
	BridgeNotification *item = &report->batch[report->count];
	BridgeProblem problem;
	bool		understood =
	bridge_consumer_check_type(message, BANK_EVENT_TRANSFER_COMPLETED,
							   &problem) &&
	bridge_record_transfer(message->payload, message->len, &item->transfer,
						   &problem);

	if (!understood && !bury(report, message, &problem))
		return false;
	report->reached.next[message->partition] = message->offset + 1;
	if (understood && bridge_record_is_notified(&item->transfer))
		report->count++;
	return true;
}

/* Results that are not stored yet still take the place of their attempts. */
static int
free_places(const Report *report)
{
	return bridge_sending_room(report->sending) - report->result_count;
}

/*
 * While BACEN keeps up, no more records are taken than can be tried; once
 * most places are taken it does not, and the rest is for the retry.
 */
static int
batch_limit(const Report *report)
{
	int			places = free_places(report);

	return places > 0 && places >= report->parallel / 4 ? places : BATCH_MAX;
}

/* Takes what has arrived into the batch, up to what cannot be buried. */
static BridgeConsumerState
fill_batch(Report *report, int *taken)
{
	rd_kafka_message_t *messages[BATCH_MAX];
	int			limit = batch_limit(report);
	BridgeConsumerState state;

	*taken = 0;
	report->count = 0;
	report->letters = 0;
	report->ends_early = false;
	state = bridge_consumer_take(report->consumer, messages, limit, taken);
	for (int i = 0; i < *taken; i++)
	{
		if (state != BRIDGE_CONSUMER_FAILED && !report->ends_early)
			report->ends_early = !add_record(report, messages[i]);
		rd_kafka_message_destroy(messages[i]);
	}
	settle_letters(report);
	bridge_metrics_add(BRIDGE_METRIC_REPORT_RECORDS, *taken);
	report->full = *taken == limit;
	return state;
}

/* How many of the batch's first this process can send. */
static int
count_attempts(const Report *report)
{
	int			room = bridge_stop_requested() ? 0 : free_places(report);

	if (room < 0)
		return 0;
	return room < report->count ? room : report->count;
}

/*
 * Sends what this process has stored as being sent.  Where storing took so
 * long that the lease might end before the answer, the retry sends instead.
 */
static void
send_ours(Report *report, int64_t stored_since_ms)
{
	int			sent = 0;

	if (bridge_clock_ms() - stored_since_ms > report->timeout_ms)
		return;
	for (int i = 0; i < report->count; i++)
	{
		const BridgeNotification *item = &report->batch[i];

		if (item->is_ours &&
			bridge_sending_begin(report->sending, &item->transfer))
			sent++;
	}
	bridge_metrics_add(BRIDGE_METRIC_REPORT_SENT, sent);
}

static int
store_batch(Report *report)
{
	BridgeNotificationBatch batch = {
		.items = report->batch, .count = report->count,
		.wanted = count_attempts(report), .topic = report->spec.topic,
		.offsets = &report->reached, .lease_ms = 2 * report->timeout_ms
	};
	int64_t		since_ms = bridge_clock_ms();
	BridgeEffect effect = bridge_notification_store(&report->store, &batch);

	if (effect == BRIDGE_EFFECT_FENCED)
	{
		bridge_log(BRIDGE_LOG_ERROR, "another process has taken over",
				   "generation=%s", report->store.generation);
		return BRIDGE_EXIT_FENCED;
	}
	if (effect == BRIDGE_EFFECT_FAILED)
	{
		note_store_failure(report);
		return BRIDGE_EXIT_OK;
	}
	bridge_store_advance(&report->offsets, &report->reached);
	bridge_metrics_add(BRIDGE_METRIC_REPORT_STORED, batch.stored);
	bridge_metrics_add(BRIDGE_METRIC_REPORT_PHANTOMS, batch.lost);
	if (batch.lost > 0)
		bridge_log(BRIDGE_LOG_WARNING, "transfers that the ledger lost are not told",
				   "transfers=%" PRId64 " table=bank_report.phantom", batch.lost);
	send_ours(report, since_ms);
	return BRIDGE_EXIT_OK;
}

static void
count_result(const BridgeResult *result)
{
	static const BridgeMetric metrics[] = {
		[BANK_BACEN_DELIVERED] = BRIDGE_METRIC_REPORT_DELIVERED,
		[BANK_BACEN_DEAD] = BRIDGE_METRIC_REPORT_REFUSED,
		[BANK_BACEN_LATER] = BRIDGE_METRIC_REPORT_DEFERRED
	};

	bridge_metrics_add(metrics[result->outcome.verdict], 1);
}

/* Stores what has ended; what cannot be stored now is kept for later. */
static void
store_results(Report *report)
{
	while (report->result_count < BRIDGE_SENDING_MAX &&
		   bridge_sending_take(report->sending,
							   &report->results[report->result_count]))
		count_result(&report->results[report->result_count++]);
	if (report->result_count == 0 || report->store.connection == NULL)
		return;
	if (bridge_notification_finish(&report->store, report->results,
								   report->result_count))
		report->result_count = 0;
	else
		note_store_failure(report);
}

/* Results do not wait until a slow network has opened the topic. */
static bool
store_meanwhile(void *context)
{
	Report	   *report = context;

	store_results(report);
	return report->store.connection != NULL;
}

/* Counts now and then what BACEN has not taken. */
static void
look_at_backlog(Report *report)
{
	BridgeBacklog backlog;

	if (report->consumer == NULL || bridge_clock_ms() < report->backlog_ms)
		return;
	report->backlog_ms = bridge_clock_ms() + BACKLOG_PERIOD_MS;
	if (!bridge_notification_count(&report->store, &backlog))
	{
		note_store_failure(report);
		return;
	}
	report->circuit = backlog.circuit;
	bridge_metrics_set(BRIDGE_METRIC_REPORT_PENDING, backlog.pending);
	bridge_metrics_set(BRIDGE_METRIC_REPORT_SENDING, backlog.sending);
	bridge_metrics_set(BRIDGE_METRIC_REPORT_GIVEN_UP, backlog.dead);
	bridge_metrics_set(BRIDGE_METRIC_REPORT_OLDEST, backlog.oldest_ms < 0 ?
					   BRIDGE_METRICS_NOTHING :
					   bridge_clock_date_ms() - backlog.oldest_ms);
	bridge_metrics_set(BRIDGE_METRIC_REPORT_CIRCUIT, backlog.circuit);
}

static void
say_state(Report *report, BridgeConsumerState state)
{
	if (report->consumer == NULL)
		return;
	if (state != BRIDGE_CONSUMER_UNREACHABLE)
		bridge_consumer_tell_lag(report->consumer, &report->offsets,
								 BRIDGE_METRIC_REPORT_LAG_RECORDS,
								 BRIDGE_METRIC_REPORT_LAG_SECONDS);
	bridge_consumer_commit(report->consumer, &report->offsets);
	if (state == BRIDGE_CONSUMER_UNREACHABLE)
		say_unhealthy(bridge_trouble_or(no_answer));
	else
		bridge_health_set(BRIDGE_ROLE_REPORT, true, circuit_reasons[report->circuit]);
}

/* One batch, from Kafka to the first attempts. */
static int
step(Report *report)
{
	BridgeConsumerState state;
	int			taken;
	int			code = BRIDGE_EXIT_OK;

	bridge_sending_wait(report->sending, report->wake_fd,
						report->full ? 0 : IDLE_WAIT_MS);
	state = fill_batch(report, &taken);
	if (state == BRIDGE_CONSUMER_FAILED)
		return leave_kafka();
	if (taken > 0)
		code = store_batch(report);
	if (code != BRIDGE_EXIT_OK)
		return code;
	look_at_backlog(report);
	say_state(report, state);
	if (report->ends_early)
		say_unhealthy("a record is not understood, and bank.dead takes none");
	if (report->ends_early || state == BRIDGE_CONSUMER_GROWN)
		leave(report);
	return code;
}

/* Begins again and again, each time after a longer wait, until it works. */
static int
run(Report *report)
{
	int			code = BRIDGE_EXIT_OK;

	while (code == BRIDGE_EXIT_OK && !bridge_stop_requested())
	{
		if (report->consumer == NULL)
			code = begin(report);
		else
			code = step(report);
		store_results(report);
		if (code == BRIDGE_EXIT_OK && report->consumer == NULL)
		{
			bridge_sending_wait(report->sending, bridge_stop_fd(),
								report->begin_wait_ms);
			report->begin_wait_ms *= 2;
			if (report->begin_wait_ms > RETRY_MAX_MS)
				report->begin_wait_ms = RETRY_MAX_MS;
		}
	}
	return code;
}

/* Gives attempts under way a short while; the lease covers the others. */
static void
drain(Report *report)
{
	int64_t		deadline = bridge_clock_ms() + STOP_GRACE_MS;

	while (bridge_sending_count(report->sending) > 0 &&
		   bridge_clock_ms() < deadline)
	{
		bridge_sending_wait(report->sending, -1, IDLE_WAIT_MS);
		store_results(report);
	}
	store_results(report);
}

int
bridge_report_run(const BridgeConfig *config)
{
	static Report report;
	static const BridgePulse pulse = {store_meanwhile, &report};
	int			code;

	if (!bridge_config_require(config, "report.dsn") ||
		!bridge_config_require(config, "bacen.url"))
		return BRIDGE_EXIT_CONFIG;
	report.spec.config = config;
	report.spec.topic = BANK_TOPIC_TRANSFERS;
	report.spec.group = GROUP;
	report.spec.pulse = &pulse;
	report.dead.config = config;
	report.dead.role = BRIDGE_ROLE_REPORT;
	report.store.spec.dsn = config->report_dsn;
	report.store.spec.application = "bank-bridge report";
	report.store.spec.claim = bridge_notification_claim;
	report.timeout_ms = config->bacen_timeout_ms;
	report.parallel = (int) config->bacen_parallel;
	report.begin_wait_ms = RETRY_MIN_MS;
	report.wake_fd = -1;
	report.sending = bridge_sending_create(config);
	if (report.sending == NULL)
		return BRIDGE_EXIT_FAILED;
	say_unhealthy("starting");
	code = run(&report);
	drain(&report);
	leave(&report);
	bridge_dead_close(&report.dead);
	bridge_sending_destroy(report.sending);
	bridge_store_close(&report.store);
	bridge_notification_free();
	return code;
}
