/*
 * bank-bridge: reads the command line and runs one command.
 */
#include "role.h"

int
main(void)
{
	return BRIDGE_EXIT_CONFIG;
}
