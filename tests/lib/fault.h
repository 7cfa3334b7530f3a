/* fault: something that goes wrong at the k-th occasion from now on, and perhaps at some after it.
 * What a test can break has one for each way to break, and asks it at every occasion:
 *
 *     fault_at(&disk.fails, 3);            the third one fails, and no other
 *     fault_next(&psd.loses_acks, 2);      the next two
 *     if (fault_strikes(&psd.loses_acks))  in the fake
 *
 * A fault of zeros never strikes. Set by one thread while nobody asks; asked by any. */
#ifndef PS_TEST_FAULT_H
#define PS_TEST_FAULT_H

#include <stdatomic.h>
#include <stdbool.h>

typedef struct fault {
    atomic_ulong seen;         /* occasions since it was set */
    unsigned long first, last; /* strikes at these of them, from 1, and all between; 0: never */
} fault;

void fault_at(fault *f, unsigned long k);   /* 0: never */
void fault_next(fault *f, unsigned long n); /* 0: never */
bool fault_strikes(fault *f);               /* at each occasion */
/* Has it struck since it was set? Whoever tries each k in turn is done when it has not. */
bool fault_struck(const fault *f);
unsigned long fault_seen(const fault *f);

/* The k-th next ps_try_alloc of this thread fails; 0: none. */
void fault_memory(unsigned long k);

#endif
