/*
 * The status of a running bridge, from its /health and /metrics.
 *
 * Memory:    one answer at a time.
 */
#include "status.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <jansson.h>

#include "http.h"
#include "role.h"

#define TIMEOUT_MS 5000
#define ANSWER_MAX (256 * 1024)
#define NAME_SIZE 64
#define WATCH_S 2

/*
 * What is printed of each role.  {name} is the value of the metric
 * bank_bridge_name; {name:b} as bytes, {name:w} as the word of its number.
 */
typedef struct StatusLine
{
	BridgeRole	role;
	const char *text;
} StatusLine;

static const StatusLine lines[] = {
	{BRIDGE_ROLE_PUBLISH, "lag          {publish_lag_bytes:b}, {publish_lag_seconds} s"},
	{BRIDGE_ROLE_PUBLISH, "slot         {publish_slot_state:w}, {publish_safe_wal_bytes:b} safe"},
	{BRIDGE_ROLE_PUBLISH, "in flight    {publish_in_flight_records} records of"
	" {publish_in_flight_transactions} transactions, {publish_queue_bytes:b}"},
	{BRIDGE_ROLE_PUBLISH, "records      {publish_records_total} sent,"
	" {publish_acknowledged_total} acknowledged, {publish_suppressed_total} suppressed"},
	{BRIDGE_ROLE_PUBLISH, "trouble      {publish_delivery_errors_total} delivery errors,"
	" {publish_dead_total} dead, {publish_connects_total} connections"},
	{BRIDGE_ROLE_PUBLISH, "foreign      {publish_foreign_total} records of somebody else"},
	{BRIDGE_ROLE_PUBLISH, "ledger       epoch {publish_epoch}, {publish_heartbeats_total}"
	" heartbeats, {publish_accounts_ahead} accounts ahead of the clock"},
	{BRIDGE_ROLE_PUBLISH, "newest seal  {publish_seal_age_seconds} s ago"},
	{BRIDGE_ROLE_PROJECT, "lag          {project_lag_records} records, {project_lag_seconds} s"},
	{BRIDGE_ROLE_PROJECT, "records      {project_records_total} read, {project_applied_total}"
	" applied, {project_cached_total} cached"},
	{BRIDGE_ROLE_PROJECT, "trouble      {project_redis_errors_total} with redis,"
	" {project_database_errors_total} with the database, {project_dead_total} dead"},
	{BRIDGE_ROLE_REPORT, "lag          {report_lag_records} records, {report_lag_seconds} s"},
	{BRIDGE_ROLE_REPORT, "records      {report_records_total} read, {report_stored_total} stored"},
	{BRIDGE_ROLE_REPORT, "first tries  {report_sent_total} sent, {report_delivered_total}"
	" accepted, {report_refused_total} refused, {report_deferred_total} for later"},
	{BRIDGE_ROLE_REPORT, "backlog      {report_pending} pending, {report_sending} sending,"
	" {report_given_up} dead, the oldest {report_oldest_seconds} s"},
	{BRIDGE_ROLE_REPORT, "circuit      {report_circuit:w}"},
	{BRIDGE_ROLE_REPORT, "trouble      {report_database_errors_total} with the database,"
	" {report_dead_total} dead, {report_phantoms_total} phantoms"},
};

typedef struct StatusWords
{
	const char *metric;
	const char *words[4];
} StatusWords;

static const StatusWords all_words[] = {
	{"publish_slot_state", {"reserved", "extended", "unreserved", "lost"}},
	{"report_circuit", {"closed", "half open", "open", "?"}},
};

static volatile sig_atomic_t interrupted;

static void
note_interrupt(int number)
{
	(void) number;
	interrupted = 1;
}

/* The answer's body, malloc'd; NULL, and the reason printed, without one. */
static char *
get(BankHttpPool *pool, const BridgeConfig *config, const char *path)
{
	char		url[256];
	bool		is_v6 = strchr(config->http_address, ':') != NULL;
	const BankHttpRequest request = {
		.method = "GET", .url = url, .connect_timeout_ms = TIMEOUT_MS,
		.timeout_ms = TIMEOUT_MS, .answer_max = ANSWER_MAX
	};
	const BankHttpReply *reply;
	void	   *tag;

	snprintf(url, sizeof(url), "http://%s%s%s:%" PRId64 "%s", is_v6 ? "[" : "",
			 config->http_address, is_v6 ? "]" : "", config->http_port, path);
	bank_http_pool_start(pool, &request, NULL);
	while ((reply = bank_http_pool_take(pool, &tag)) == NULL)
		bank_http_pool_wait(pool, TIMEOUT_MS, -1);
	if (!reply->failed)
		return strdup(reply->body);
	printf("no bridge answers at %s: %s\n", url, reply->error);
	return NULL;
}

/* The value of a metric as it was printed; "?" where it is absent. */
static void
find_metric(const char *metrics, const char *name, char *value, size_t size)
{
	char		start[NAME_SIZE + 16];
	size_t		length = (size_t) snprintf(start, sizeof(start),
										   "\nbank_bridge_%s ", name);
	const char *found = strstr(metrics, start);

	snprintf(value, size, "?");
	if (found != NULL)
		snprintf(value, size, "%.*s", (int) strcspn(found + length, "\n"),
				 found + length);
}

static void
print_bytes(const char *value)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
	double		bytes = strtod(value, NULL);
	int			unit = 0;

	if (bytes < 0)
	{
		printf("unlimited");
		return;
	}
	for (; bytes >= 10000 && unit < 4; unit++)
		bytes /= 1024;
	printf("%.0f %s", bytes, units[unit]);
}

static void
print_word(const char *name, const char *value)
{
	long		number = strtol(value, NULL, 10);

	for (size_t i = 0; i < sizeof(all_words) / sizeof(all_words[0]); i++)
		if (strcmp(all_words[i].metric, name) == 0 && number >= 0 && number < 4)
			value = all_words[i].words[number];
	fputs(value, stdout);
}

/* Prints what stands between braces; returns what follows them. */
static const char *
print_place(const char *place, const char *metrics)
{
	size_t		length = strcspn(place, ":}");
	char		name[NAME_SIZE];
	char		value[NAME_SIZE];
	char		form = place[length] == ':' ? place[length + 1] : ' ';

	snprintf(name, sizeof(name), "%.*s", (int) length, place);
	find_metric(metrics, name, value, sizeof(value));
	if (form == 'b')
		print_bytes(value);
	else if (form == 'w')
		print_word(name, value);
	else
		fputs(value, stdout);
	return place + strcspn(place, "}") + 1;
}

static void
print_line(const char *text, const char *metrics)
{
	fputs("    ", stdout);
	while (*text != '\0')
	{
		if (*text == '{')
			text = print_place(text + 1, metrics);
		else
			putchar(*text++);
	}
	putchar('\n');
}

static void
print_role(BridgeRole role, const json_t *state, const char *metrics)
{
	const char *reason = json_string_value(json_object_get(state, "reason"));

	if (state == NULL)
		return;
	printf("%-9s %s  process %lld%s%s\n", bridge_role_name(role),
		   json_is_true(json_object_get(state, "healthy")) ? "works    " : "NOT READY",
		   json_integer_value(json_object_get(state, "pid")),
		   reason != NULL && *reason != '\0' ? "  " : "", reason != NULL ? reason : "");
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (lines[i].role == role)
			print_line(lines[i].text, metrics);
}

static bool
print_answers(const char *health, const char *metrics)
{
	json_t	   *body = json_loads(health, 0, NULL);
	const json_t *roles = json_object_get(body, "roles");
	bool		healthy = json_is_true(json_object_get(body, "healthy"));

	if (!json_is_object(roles))
		printf("what answers is no bank-bridge\n");
	else
		for (int i = 0; i < BRIDGE_ROLE_COUNT; i++)
			print_role((BridgeRole) i,
					   json_object_get(roles, bridge_role_name((BridgeRole) i)),
					   metrics);
	json_decref(body);
	return healthy;
}

static int
print_status(BankHttpPool *pool, const BridgeConfig *config)
{
	char	   *health = get(pool, config, "/health");
	char	   *metrics = health != NULL ? get(pool, config, "/metrics") : NULL;
	bool		healthy = metrics != NULL && print_answers(health, metrics);

	free(health);
	free(metrics);
	fflush(stdout);
	return healthy ? BRIDGE_EXIT_OK : BRIDGE_EXIT_FAILED;
}

static int
watch_status(BankHttpPool *pool, const BridgeConfig *config)
{
	const struct timespec pause = {.tv_sec = WATCH_S};
	struct sigaction action = {.sa_handler = note_interrupt};
	int			code = BRIDGE_EXIT_OK;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	while (!interrupted)
	{
		/* To the first place of the screen, and nothing left below. */
		fputs("\033[H\033[J", stdout);
		code = print_status(pool, config);
		nanosleep(&pause, NULL);
	}
	return code;
}

int
bridge_status_run(const BridgeConfig *config, bool watch)
{
	BankHttpPool *pool = bank_http_pool_create(1);
	int			code;

	if (pool == NULL)
		return BRIDGE_EXIT_FAILED;
	signal(SIGPIPE, SIG_IGN);
	code = watch ? watch_status(pool, config) : print_status(pool, config);
	bank_http_pool_destroy(pool);
	return code;
}
