/*
 * One line per fact on standard error, key=value.
 *
 * The fields are one printf format of space-separated key=value words; values
 * are quoted where they need it, so a message of a server can be a field.
 */
#ifndef BRIDGE_LOG_H
#define BRIDGE_LOG_H

typedef enum BridgeLogLevel
{
	BRIDGE_LOG_DEBUG,
	BRIDGE_LOG_INFO,
	BRIDGE_LOG_WARNING,
	BRIDGE_LOG_ERROR
} BridgeLogLevel;

/* Names the role in every later line of this process; kept by pointer. */
extern void bridge_log_role(const char *role);

/*
 * Writes one line; fields may be NULL.  A line that is too long is cut, and
 * one that cannot be written is lost: logging never fails the caller.
 */
extern void bridge_log(BridgeLogLevel level, const char *message,
					   const char *fields,...)
			__attribute__((format(printf, 3, 4)));

#endif
