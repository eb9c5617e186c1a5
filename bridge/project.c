/*
 * The role project.
 */
#include "role.h"

#include "log.h"

int
bridge_project_run(const BridgeConfig *config)
{
	(void) config;
	bridge_log(BRIDGE_LOG_ERROR, "role is not built in", NULL);
	return BRIDGE_EXIT_CONFIG;
}
