/*
 * bank-bridge: reads the command line and runs one command.
 */
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "contract.h"
#include "init.h"
#include "log.h"
#include "metrics.h"
#include "rebuild.h"
#include "role.h"
#include "server.h"
#include "status.h"
#include "supervise.h"

#define ROLE_GRACE_S 9

static const char usage[] =
	"usage: bank-bridge [--config FILE] COMMAND\n"
	"\n"
	"  init                 prepare databases, slot, topics; repeatable\n"
	"  rebuild [--new-epoch] send again from the journal what Kafka lacks\n"
	"  run ROLE[,ROLE...]   run roles, each in a process of its own\n"
	"  publish              WAL to Kafka\n"
	"  project              Kafka to the search database and Redis\n"
	"  report               Kafka to notifications and BACEN\n"
	"  status [--watch]     what a running bridge says of itself; 0: all is well\n"
	"  config               print the effective configuration\n"
	"\n"
	"Every setting may also come from the environment: redis.timeout_ms is\n"
	"BANK_BRIDGE_REDIS_TIMEOUT_MS.\n";

static const struct option options[] = {
	{"config", required_argument, NULL, 'c'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'V'},
	{NULL, 0, NULL, 0}
};

/* One role in this process, with its own metrics. */
static int
run_alone(const BridgeConfig *config, BridgeRole role)
{
	BridgeServer *server;
	int			code;

	bridge_log_role(bridge_role_name(role));
	if (!bridge_stop_catch(-1, ROLE_GRACE_S))
		return BRIDGE_EXIT_FAILED;
	bridge_metrics_expect(role);
	bridge_metrics_role(role, getpid());
	if (!bridge_server_start(config, true, &server))
		return BRIDGE_EXIT_CONFIG;
	code = bridge_role_run(role, config);
	bridge_server_stop(server);
	bridge_log(code == 0 ? BRIDGE_LOG_INFO : BRIDGE_LOG_ERROR, "role ends",
			   "exit_code=%d", code);
	return code;
}

static int
run_command(const BridgeConfig *config, const char *command,
			const char *argument)
{
	BridgeRole	role;

	if (argument != NULL)
	{
		if (strcmp(command, "run") == 0)
			return bridge_supervise_run(config, argument);
		if (strcmp(command, "rebuild") == 0 && strcmp(argument, "--new-epoch") == 0)
			return bridge_rebuild_run(config, true);
		if (strcmp(command, "status") == 0 && strcmp(argument, "--watch") == 0)
			return bridge_status_run(config, true);
	}
	else if (strcmp(command, "init") == 0)
		return bridge_init_run(config);
	else if (strcmp(command, "rebuild") == 0)
		return bridge_rebuild_run(config, false);
	else if (strcmp(command, "status") == 0)
		return bridge_status_run(config, false);
	else if (strcmp(command, "config") == 0)
	{
		bridge_config_print(config, stdout);
		return BRIDGE_EXIT_OK;
	}
	else if (bridge_role_find(command, &role))
		return run_alone(config, role);
	fputs(usage, stderr);
	return BRIDGE_EXIT_CONFIG;
}

int
main(int argc, char **argv)
{
	const char *file = NULL;
	BridgeConfig config;
	int			option;
	int			code = BRIDGE_EXIT_CONFIG;

	/*
	 * librdkafka allocates in one thread and frees in another; with a heap a
	 * thread, each keeps what the others gave back.
	 */
	mallopt(M_ARENA_MAX, 1);
	while ((option = getopt_long(argc, argv, "+c:hV", options, NULL)) != -1)
	{
		if (option == 'h')
			return fputs(usage, stdout) < 0;
		if (option == 'V')
			return printf("bank-bridge %s\n", BANK_VERSION) < 0;
		if (option != 'c')
			return fputs(usage, stderr), BRIDGE_EXIT_CONFIG;
		file = optarg;
	}
	if (argc - optind < 1 || argc - optind > 2)
		return fputs(usage, stderr), BRIDGE_EXIT_CONFIG;
	if (!bridge_metrics_create())
		return BRIDGE_EXIT_FAILED;
	if (bridge_config_load(file, &config))
		code = run_command(&config, argv[optind], argv[optind + 1]);
	bridge_config_free(&config);
	return code;
}
