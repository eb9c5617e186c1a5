/*
 * Reading and writing big-endian bytes of the replication protocol.
 *
 * Promises: a read beyond the end gives zero or an empty text and sets
 * overrun, so that callers test once, at the end.
 */
#ifndef BRIDGE_BYTES_H
#define BRIDGE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct BridgeBytes
{
	const char *next;
	size_t		left;
	bool		overrun;
} BridgeBytes;

extern uint8_t bridge_bytes_uint8(BridgeBytes *bytes);
extern uint16_t bridge_bytes_uint16(BridgeBytes *bytes);
extern uint32_t bridge_bytes_uint32(BridgeBytes *bytes);
extern uint64_t bridge_bytes_uint64(BridgeBytes *bytes);

/* A text closed by NUL; never NULL. */
extern const char *bridge_bytes_string(BridgeBytes *bytes);

/* Passes over length bytes and returns where they begin; NULL on overrun. */
extern const char *bridge_bytes_skip(BridgeBytes *bytes, size_t length);

/* Writes eight bytes. */
extern void bridge_bytes_put_uint64(char *target, uint64_t value);

#endif
