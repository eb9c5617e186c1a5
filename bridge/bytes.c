/*
 * Big-endian bytes.
 */
#include "bytes.h"

#include <string.h>

const char *
bridge_bytes_skip(BridgeBytes *bytes, size_t length)
{
	const char *start = bytes->next;

	if (length > bytes->left)
	{
		bytes->overrun = true;
		bytes->left = 0;
		return NULL;
	}
	bytes->next += length;
	bytes->left -= length;
	return start;
}

static uint64_t
read_number(BridgeBytes *bytes, size_t size)
{
	const unsigned char *byte =
	(const unsigned char *) bridge_bytes_skip(bytes, size);
	uint64_t	value = 0;

	if (byte == NULL)
		return 0;
	for (size_t i = 0; i < size; i++)
		value = value << 8 | byte[i];
	return value;
}

uint8_t
bridge_bytes_uint8(BridgeBytes *bytes)
{
	return (uint8_t) read_number(bytes, 1);
}

uint16_t
bridge_bytes_uint16(BridgeBytes *bytes)
{
	return (uint16_t) read_number(bytes, 2);
}

uint32_t
bridge_bytes_uint32(BridgeBytes *bytes)
{
	return (uint32_t) read_number(bytes, 4);
}

uint64_t
bridge_bytes_uint64(BridgeBytes *bytes)
{
	return read_number(bytes, 8);
}

const char *
bridge_bytes_string(BridgeBytes *bytes)
{
	const char *start = bytes->next;
	const char *end = memchr(start, '\0', bytes->left);

	if (end == NULL)
	{
		bytes->overrun = true;
		bytes->left = 0;
		return "";
	}
	bridge_bytes_skip(bytes, (size_t) (end - start) + 1);
	return start;
}

void
bridge_bytes_put_uint64(char *target, uint64_t value)
{
	for (int i = 7; i >= 0; i--)
	{
		target[i] = (char) (value & 0xff);
		value >>= 8;
	}
}
