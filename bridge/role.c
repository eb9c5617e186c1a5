/*
 * The roles by name, and the request to stop.
 */
#include "role.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

typedef struct RoleEntry
{
	const char *name;
	int			(*run) (const BridgeConfig *config);
} RoleEntry;

static const RoleEntry role_table[BRIDGE_ROLE_COUNT] = {
	[BRIDGE_ROLE_PUBLISH] = {"publish", bridge_publish_run},
	[BRIDGE_ROLE_PROJECT] = {"project", bridge_project_run},
	[BRIDGE_ROLE_REPORT] = {"report", bridge_report_run},
};

static int	stop_pipe[2] = {-1, -1};
static int	stop_epoll = -1;
static unsigned stop_grace_s;

const char *
bridge_role_name(BridgeRole role)
{
	return role_table[role].name;
}

bool
bridge_role_find(const char *name, BridgeRole *role)
{
	for (int i = 0; i < BRIDGE_ROLE_COUNT; i++)
	{
		if (strcmp(name, role_table[i].name) == 0)
		{
			*role = (BridgeRole) i;
			return true;
		}
	}
	return false;
}

int
bridge_role_run(BridgeRole role, const BridgeConfig *config)
{
	return role_table[role].run(config);
}

/* The byte is never read, so the descriptor stays readable. */
static void
handle_stop(int signal_number)
{
	int			interrupted = errno;

	(void) signal_number;
	if (write(stop_pipe[1], "", 1) == 1 && stop_grace_s > 0)
		alarm(stop_grace_s);
	stop_grace_s = 0;
	errno = interrupted;
}

static bool
watch(int fd)
{
	struct epoll_event event = {.events = EPOLLIN,.data.fd = fd};

	return epoll_ctl(stop_epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

bool
bridge_stop_catch(int lifeline, unsigned grace_s)
{
	struct sigaction action;

	if (pipe2(stop_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
		return false;
	stop_epoll = epoll_create1(EPOLL_CLOEXEC);
	if (stop_epoll < 0 || !watch(stop_pipe[0]))
		return false;
	if (lifeline >= 0 && !watch(lifeline))
		return false;
	stop_grace_s = grace_s;

	memset(&action, 0, sizeof(action));
	action.sa_handler = handle_stop;
	action.sa_flags = SA_RESTART;
	sigemptyset(&action.sa_mask);
	if (sigaction(SIGTERM, &action, NULL) != 0 ||
		sigaction(SIGINT, &action, NULL) != 0)
		return false;
	action.sa_handler = SIG_IGN;
	return sigaction(SIGPIPE, &action, NULL) == 0;
}

bool
bridge_stop_requested(void)
{
	struct pollfd stop = {.fd = stop_epoll, .events = POLLIN};

	return poll(&stop, 1, 0) > 0;
}

int
bridge_stop_fd(void)
{
	return stop_epoll;
}

void
bridge_stop_sleep(int milliseconds)
{
	struct pollfd stop = {.fd = stop_epoll, .events = POLLIN};

	poll(&stop, 1, milliseconds);
}
