/*
 * Text of a PostgreSQL array, built element by element and sent as one
 * parameter of a statement.  The buffer is kept from one batch to the next.
 */
#ifndef BRIDGE_ARRAY_H
#define BRIDGE_ARRAY_H

#include <stddef.h>
#include <stdint.h>

/* All zero is an array not begun. */
typedef struct BridgeArray
{
	char	   *text;
	size_t		length;
	size_t		size;
} BridgeArray;

/* Begins anew with no element. */
extern void bridge_array_reset(BridgeArray *array);

/*
 * Adds an element.  The text must need no quotes: uuids, numbers, times and
 * words of the contract.  NULL and the empty text become a null.
 */
extern void bridge_array_add(BridgeArray *array, const char *element);
extern void bridge_array_add_int64(BridgeArray *array, int64_t element);

/* Adds any text, quoted; NULL becomes a null, the empty text does not. */
extern void bridge_array_add_quoted(BridgeArray *array, const char *element);

/* Ends the array; its text stays valid until the next reset. */
extern const char *bridge_array_finish(BridgeArray *array);

extern void bridge_array_free(BridgeArray *array);

#endif
