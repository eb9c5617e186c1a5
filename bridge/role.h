/*
 * What the roles share: their names, entry points, exit codes, and how they
 * learn that they must stop.
 */
#ifndef BRIDGE_ROLE_H
#define BRIDGE_ROLE_H

#include <stdbool.h>

#include "config.h"

typedef enum BridgeRole
{
	BRIDGE_ROLE_PUBLISH,
	BRIDGE_ROLE_PROJECT,
	BRIDGE_ROLE_REPORT
} BridgeRole;

#define BRIDGE_ROLE_COUNT 3

typedef enum BridgeExit
{
	BRIDGE_EXIT_OK = 0,
	BRIDGE_EXIT_FAILED = 1,		/* not understood; run starts it again */
	BRIDGE_EXIT_CONFIG = 2,		/* ends run */
	BRIDGE_EXIT_MISSING = 3,	/* slot, publication or table; ends run */
	BRIDGE_EXIT_LOST = 4,		/* slot or records lost; ends run */
	BRIDGE_EXIT_KAFKA = 5,		/* run starts it again */
	BRIDGE_EXIT_FENCED = 6		/* another one works; ends run */
} BridgeExit;

/* The roles: each runs until told to stop, and returns its exit code. */
extern int	bridge_publish_run(const BridgeConfig *config);
extern int	bridge_project_run(const BridgeConfig *config);
extern int	bridge_report_run(const BridgeConfig *config);

extern const char *bridge_role_name(BridgeRole role);

/* Finds a role by its name; false where there is none. */
extern bool bridge_role_find(const char *name, BridgeRole *role);

/* Runs one role in this process; returns its exit code. */
extern int	bridge_role_run(BridgeRole role, const BridgeConfig *config);

/*
 * Makes SIGTERM and SIGINT requests to stop; called once a process.  lifeline
 * is a descriptor that hangs up when the supervisor dies, or -1.  With
 * grace_s > 0, a process that is still there so many seconds after the
 * request is ended by the kernel.  Returns false where the kernel refuses.
 */
extern bool bridge_stop_catch(int lifeline, unsigned grace_s);

extern bool bridge_stop_requested(void);

/* Becomes and stays readable once the stop is requested: for poll(). */
extern int	bridge_stop_fd(void);

/* Sleeps, but no longer than until the stop is requested. */
extern void bridge_stop_sleep(int milliseconds);

#endif
