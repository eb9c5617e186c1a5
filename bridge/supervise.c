/*
 * Starts a process for each role and keeps it running.
 *
 * Promises: a role ends with its supervisor, however that ends; no thread
 * lives in the supervisor, so that it may fork at any moment; it is gone
 * within 10 s of SIGTERM.
 */
#include "supervise.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "metrics.h"
#include "role.h"
#include "server.h"

#define BACKOFF_FIRST_MS 500
#define BACKOFF_MAX_MS 10000
#define SETTLED_MS 60000
#define STOP_MS 9500
#define ROLE_GRACE_S 9
#define TICK_MS 500
#define STOPPING_TICK_MS 50
#define LIFELINE_FD 3

typedef struct Child
{
	BridgeRole	role;
	pid_t		pid;			/* 0: not running */
	int			lifeline;		/* hangs up when the child is gone */
	int64_t		started_at;
	int64_t		start_at;		/* when to start it again */
	int			backoff_ms;
} Child;

typedef struct Supervisor
{
	const BridgeConfig *config;
	BridgeServer *server;
	Child		children[BRIDGE_ROLE_COUNT];
	int			count;
	int			exit_code;
	bool		stopping;
	int64_t		kill_at;
} Supervisor;

static bool
add_role(Supervisor *supervisor, const char *name)
{
	BridgeRole	role;
	Child	   *child;

	if (!bridge_role_find(name, &role))
	{
		bridge_log(BRIDGE_LOG_ERROR, "unknown role", "role=%s", name);
		return false;
	}
	for (int i = 0; i < supervisor->count; i++)
	{
		if (supervisor->children[i].role == role)
		{
			bridge_log(BRIDGE_LOG_ERROR, "role is named twice", "role=%s", name);
			return false;
		}
	}
	child = &supervisor->children[supervisor->count++];
	child->role = role;
	child->lifeline = -1;
	child->backoff_ms = BACKOFF_FIRST_MS;
	bridge_metrics_expect(role);
	bridge_metrics_role(role, 0);
	return true;
}

static bool
add_roles(Supervisor *supervisor, const char *roles)
{
	char	   *list = strdup(roles);
	char	   *rest = list;
	char	   *name;
	bool		valid = list != NULL;

	while (valid && (name = strsep(&rest, ",")) != NULL)
		valid = add_role(supervisor, name);
	free(list);
	return valid;
}

/* What the child does; it keeps nothing of the supervisor but the lifeline. */
static void
become_role(const Supervisor *supervisor, BridgeRole role, int lifeline,
			pid_t parent)
{
	int			code;

	if (dup2(lifeline, LIFELINE_FD) < 0)
		_exit(BRIDGE_EXIT_FAILED);
	close_range(LIFELINE_FD + 1, ~0U, 0);
	bridge_log_role(bridge_role_name(role));
	if (!bridge_stop_catch(LIFELINE_FD, ROLE_GRACE_S) ||
		prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent)
		_exit(BRIDGE_EXIT_FAILED);
	code = bridge_role_run(role, supervisor->config);
	bridge_log(code == 0 ? BRIDGE_LOG_INFO : BRIDGE_LOG_ERROR, "role ends",
			   "exit_code=%d", code);
	exit(code);
}

static void
start_child(Supervisor *supervisor, Child *child)
{
	int			pair[2];
	pid_t		parent = getpid();

	child->started_at = bridge_clock_ms();
	child->start_at = child->started_at + child->backoff_ms;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return;
	child->pid = fork();
	if (child->pid == 0)
		become_role(supervisor, child->role, pair[1], parent);
	close(pair[1]);
	if (child->pid < 0)
	{
		bridge_log(BRIDGE_LOG_ERROR, "could not fork", "error=%s",
				   strerror(errno));
		close(pair[0]);
		child->pid = 0;
		return;
	}
	child->lifeline = pair[0];
	bridge_metrics_role(child->role, child->pid);
	bridge_log(BRIDGE_LOG_INFO, "role started", "started=%s started_pid=%d",
			   bridge_role_name(child->role), (int) child->pid);
}

static bool
ends_run(int code)
{
	return code == BRIDGE_EXIT_CONFIG || code == BRIDGE_EXIT_MISSING ||
		code == BRIDGE_EXIT_LOST || code == BRIDGE_EXIT_FENCED;
}

/* The lifeline tells one that cannot yet take the signal. */
static void
stop_child(const Child *child)
{
	kill(child->pid, SIGTERM);
	shutdown(child->lifeline, SHUT_WR);
}

static void
stop_children(Supervisor *supervisor)
{
	if (supervisor->stopping)
		return;
	supervisor->stopping = true;
	supervisor->kill_at = bridge_clock_ms() + STOP_MS;
	for (int i = 0; i < supervisor->count; i++)
		if (supervisor->children[i].pid > 0)
			stop_child(&supervisor->children[i]);
}

static void
plan_restart(Child *child)
{
	int64_t		now = bridge_clock_ms();

	if (now - child->started_at > SETTLED_MS)
		child->backoff_ms = BACKOFF_FIRST_MS;
	child->start_at = now + child->backoff_ms;
	child->backoff_ms *= 2;
	if (child->backoff_ms > BACKOFF_MAX_MS)
		child->backoff_ms = BACKOFF_MAX_MS;
}

/* What /health says until the role runs again. */
static void
tell_end(BridgeRole role, int code)
{
	char		reason[64];

	if (code < 0)
		snprintf(reason, sizeof(reason), "process was killed");
	else
		snprintf(reason, sizeof(reason), "process ended with exit code %d", code);
	bridge_health_end(role, reason);
}

static void
judge_end(Supervisor *supervisor, Child *child, int status)
{
	int			code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

	close(child->lifeline);
	child->lifeline = -1;
	child->pid = 0;
	tell_end(child->role, code);
	bridge_log(code == 0 ? BRIDGE_LOG_INFO : BRIDGE_LOG_WARNING, "role ended",
			   "ended=%s exit_code=%d signal=%d", bridge_role_name(child->role),
			   code, WIFSIGNALED(status) ? WTERMSIG(status) : 0);
	if (ends_run(code) && supervisor->exit_code == 0)
		supervisor->exit_code = code;
	if (ends_run(code))
		stop_children(supervisor);
	else
		plan_restart(child);
}

static void
reap_children(Supervisor *supervisor)
{
	int			status;

	for (int i = 0; i < supervisor->count; i++)
	{
		Child	   *child = &supervisor->children[i];

		if (child->pid > 0 && waitpid(child->pid, &status, WNOHANG) > 0)
			judge_end(supervisor, child, status);
	}
}

static void
start_due_children(Supervisor *supervisor)
{
	int64_t		now = bridge_clock_ms();

	for (int i = 0; i < supervisor->count; i++)
	{
		Child	   *child = &supervisor->children[i];

		if (child->pid == 0 && child->start_at <= now)
			start_child(supervisor, child);
	}
}

static void
kill_late_children(Supervisor *supervisor)
{
	if (bridge_clock_ms() < supervisor->kill_at)
		return;
	for (int i = 0; i < supervisor->count; i++)
		if (supervisor->children[i].pid > 0)
			kill(supervisor->children[i].pid, SIGKILL);
}

static bool
any_child(const Supervisor *supervisor)
{
	for (int i = 0; i < supervisor->count; i++)
		if (supervisor->children[i].pid > 0)
			return true;
	return false;
}

static void
watch(struct pollfd *fds, nfds_t * count, int fd)
{
	fds[*count].fd = fd;
	fds[(*count)++].events = POLLIN;
}

/* Until a child ends, a request comes, the stop is asked for, or the tick. */
static void
wait_for_event(Supervisor *supervisor)
{
	struct pollfd fds[BRIDGE_ROLE_COUNT + 2];
	nfds_t		count = 0;
	int			tick_ms = supervisor->stopping ? STOPPING_TICK_MS : TICK_MS;

	if (supervisor->server != NULL)
		watch(fds, &count, bridge_server_fd(supervisor->server));
	if (!supervisor->stopping)
		watch(fds, &count, bridge_stop_fd());
	for (int i = 0; i < supervisor->count && !supervisor->stopping; i++)
		if (supervisor->children[i].lifeline >= 0)
			watch(fds, &count, supervisor->children[i].lifeline);
	poll(fds, count, tick_ms);
}

static int
supervise(Supervisor *supervisor)
{
	while (!supervisor->stopping || any_child(supervisor))
	{
		if (bridge_stop_requested())
			stop_children(supervisor);
		if (supervisor->stopping)
			kill_late_children(supervisor);
		else
			start_due_children(supervisor);
		wait_for_event(supervisor);
		if (supervisor->server != NULL)
			bridge_server_serve(supervisor->server);
		reap_children(supervisor);
	}
	return supervisor->exit_code;
}

int
bridge_supervise_run(const BridgeConfig *config, const char *roles)
{
	Supervisor	supervisor = {.config = config};
	int			code;

	if (!add_roles(&supervisor, roles) ||
		!bridge_server_start(config, false, &supervisor.server))
		return BRIDGE_EXIT_CONFIG;
	if (!bridge_stop_catch(-1, 0))
		return BRIDGE_EXIT_FAILED;
	code = supervise(&supervisor);
	bridge_server_stop(supervisor.server);
	return code;
}
