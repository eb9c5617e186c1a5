/*
 * Strict readings of the texts that travel between the parts: uuids, times
 * and integers.  None of them raises; each says whether the text is well
 * formed.
 */
#ifndef BANK_TEXT_H
#define BANK_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length of "2026-01-31T12:00:00.000000Z", without and with the closing NUL. */
#define BANK_TIME_LENGTH 27
#define BANK_TIME_SIZE 28

/* True for a uuid in lower-case canonical form. */
extern bool bank_text_is_uuid(const char *text);

/* True for an RFC 3339 time in UTC with six decimals and Z. */
extern bool bank_text_is_time(const char *text);

/* Reads a decimal integer and nothing else; false leaves *value alone. */
extern bool bank_text_to_int64(const char *text, int64_t *value);

/* Copies into a buffer of size bytes; false where it does not fit. */
extern bool bank_text_copy(char *buffer, size_t size, const char *text);

#endif
