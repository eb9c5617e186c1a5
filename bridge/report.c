/*
 * The role report.
 */
#include "role.h"

#include "log.h"

int
bridge_report_run(const BridgeConfig *config)
{
	(void) config;
	bridge_log(BRIDGE_LOG_ERROR, "role is not built in", NULL);
	return BRIDGE_EXIT_CONFIG;
}
