/*
 * Metrics and health in shared memory, and their two texts.
 *
 * Locks: none.  Numbers are atomics; the reason of a role's health is guarded
 * by a sequence number, which is odd while it is being written.
 */
#include "metrics.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "clock.h"

#define REASON_SIZE 160
#define READ_ATTEMPTS 1000

typedef struct RoleState
{
	_Atomic bool expected;
	_Atomic int pid;
	_Atomic bool healthy;
	_Atomic unsigned sequence;
	_Atomic char reason[REASON_SIZE];
} RoleState;

typedef struct SharedMetrics
{
	_Atomic int64_t values[BRIDGE_METRIC_COUNT];
	RoleState	roles[BRIDGE_ROLE_COUNT];
} SharedMetrics;

typedef struct MetricEntry
{
	BridgeRole	role;
	const char *type;
	const char *name;
	const char *help;
} MetricEntry;

static const MetricEntry metric_table[BRIDGE_METRIC_COUNT] = {
#define X(role, symbol, type, name, help) \
	[BRIDGE_METRIC_##symbol] = {BRIDGE_ROLE_##role, type, name, help},
	BRIDGE_METRIC_TABLE(X)
#undef X
};

static SharedMetrics *shared;

static bool
is_of_type(BridgeMetric metric, const char *type)
{
	return strcmp(metric_table[metric].type, type) == 0;
}

bool
bridge_metrics_create(void)
{
	void	   *memory = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
							  MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return false;
	shared = memory;
	for (int i = 0; i < BRIDGE_METRIC_COUNT; i++)
		if (is_of_type((BridgeMetric) i, "age"))
			bridge_metrics_set((BridgeMetric) i, bridge_clock_date_ms());
	return true;
}

void
bridge_metrics_add(BridgeMetric metric, int64_t amount)
{
	atomic_fetch_add_explicit(&shared->values[metric], amount,
							  memory_order_relaxed);
}

void
bridge_metrics_set(BridgeMetric metric, int64_t value)
{
	atomic_store_explicit(&shared->values[metric], value, memory_order_relaxed);
}

int64_t
bridge_metrics_get(BridgeMetric metric)
{
	return atomic_load_explicit(&shared->values[metric], memory_order_relaxed);
}

void
bridge_metrics_renew(BridgeMetric metric, int64_t date_ms)
{
	if (date_ms > bridge_metrics_get(metric))
		bridge_metrics_set(metric, date_ms);
}

void
bridge_metrics_expect(BridgeRole role)
{
	atomic_store(&shared->roles[role].expected, true);
}

void
bridge_metrics_role(BridgeRole role, pid_t pid)
{
	bridge_health_set(role, false, pid == 0 ? "process is down" : "starting");
	atomic_store(&shared->roles[role].pid, pid);
}

static void
write_reason(RoleState *state, const char *reason)
{
	size_t		i;

	for (i = 0; i < REASON_SIZE - 1 && reason[i] != '\0'; i++)
		atomic_store(&state->reason[i], reason[i]);
	atomic_store(&state->reason[i], '\0');
}

void
bridge_health_set(BridgeRole role, bool healthy, const char *reason)
{
	RoleState  *state = &shared->roles[role];
	unsigned	sequence = atomic_load(&state->sequence) | 1;

	atomic_store(&state->sequence, sequence);
	write_reason(state, reason);
	atomic_store(&state->sequence, sequence + 1);
	atomic_store(&state->healthy, healthy);
}

/* A role killed while it wrote leaves the number odd for ever. */
static void
read_reason(RoleState *state, char *reason)
{
	for (int i = 0; i < READ_ATTEMPTS; i++)
	{
		unsigned	before = atomic_load(&state->sequence);

		for (int c = 0; c < REASON_SIZE; c++)
			reason[c] = atomic_load(&state->reason[c]);
		reason[REASON_SIZE - 1] = '\0';
		if (before % 2 == 0 && atomic_load(&state->sequence) == before)
			return;
	}
	snprintf(reason, REASON_SIZE, "unknown");
}

void
bridge_health_end(BridgeRole role, const char *end)
{
	RoleState  *state = &shared->roles[role];
	char		reason[REASON_SIZE] = "";
	char		text[2 * REASON_SIZE];

	if (!atomic_load(&state->healthy))
		read_reason(state, reason);
	snprintf(text, sizeof(text), "%s%s%s", end, reason[0] == '\0' ? "" : ": ",
			 reason);
	bridge_health_set(role, false, text);
	atomic_store(&state->pid, 0);
}

static bool
is_healthy(const RoleState *state)
{
	return atomic_load(&state->pid) != 0 && atomic_load(&state->healthy);
}

static void
print_roles(FILE *stream)
{
	fprintf(stream, "# HELP bank_bridge_healthy 1 where the role works.\n"
			"# TYPE bank_bridge_healthy gauge\n");
	for (int i = 0; i < BRIDGE_ROLE_COUNT; i++)
	{
		if (atomic_load(&shared->roles[i].expected))
			fprintf(stream, "bank_bridge_healthy{role=\"%s\"} %d\n",
					bridge_role_name((BridgeRole) i),
					is_healthy(&shared->roles[i]) ? 1 : 0);
	}
}

static void
print_metric(FILE *stream, BridgeMetric metric)
{
	const MetricEntry *entry = &metric_table[metric];
	int64_t		value = bridge_metrics_get(metric);
	bool		age = is_of_type(metric, "age");

	if (age)
		value = bridge_clock_date_ms() - value;
	if (age && value < 0)		/* nothing, or another machine's clock is
								 * ahead */
		value = 0;
	fprintf(stream, "# HELP bank_bridge_%s %s\n# TYPE bank_bridge_%s %s\n"
			"bank_bridge_%s ", entry->name, entry->help, entry->name,
			age ? "gauge" : entry->type, entry->name);
	if (age)
		fprintf(stream, "%.3f\n", (double) value / 1000);
	else
		fprintf(stream, "%" PRId64 "\n", value);
}

char *
bridge_metrics_text(size_t *length)
{
	char	   *text = NULL;
	FILE	   *stream = open_memstream(&text, length);

	if (stream == NULL)
		return NULL;
	print_roles(stream);
	for (int i = 0; i < BRIDGE_METRIC_COUNT; i++)
	{
		if (atomic_load(&shared->roles[metric_table[i].role].expected))
			print_metric(stream, (BridgeMetric) i);
	}
	if (fclose(stream) != 0)
	{
		free(text);
		return NULL;
	}
	return text;
}

char *
bridge_health_text(size_t *length, bool *healthy)
{
	json_t	   *roles = json_object();
	json_t	   *body;
	char	   *text;
	char		reason[REASON_SIZE];

	*healthy = true;
	for (int i = 0; i < BRIDGE_ROLE_COUNT; i++)
	{
		RoleState  *state = &shared->roles[i];

		if (!atomic_load(&state->expected))
			continue;
		read_reason(state, reason);
		*healthy = *healthy && is_healthy(state);
		json_object_set_new(roles, bridge_role_name((BridgeRole) i),
							json_pack("{s:b, s:s, s:i}",
									  "healthy", (int) is_healthy(state),
									  "reason", reason,
									  "pid", atomic_load(&state->pid)));
	}
	body = json_pack("{s:b, s:o}", "healthy", (int) *healthy, "roles", roles);
	text = json_dumps(body, JSON_COMPACT);
	json_decref(body);
	*length = text != NULL ? strlen(text) : 0;
	return text;
}
