/*
 * How far a long verification is.
 */
#ifndef BANK_PROGRESS_H
#define BANK_PROGRESS_H

extern bool bank_progress_is_due(void);
extern void bank_progress_count(const char *what);

#endif
