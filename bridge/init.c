#include "init.h"
#include "role.h"

int
bridge_init_run(const BridgeConfig *config)
{
	(void) config;
	return BRIDGE_EXIT_CONFIG;
}
