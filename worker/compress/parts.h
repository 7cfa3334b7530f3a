/* parts: work in numbered parts, shared out to threads. What a part does depends on its number
 * alone, so that results are the same with any number of threads. */
#ifndef PS_COMPRESS_PARTS_H
#define PS_COMPRESS_PARTS_H

#include <stddef.h>
#include <stdint.h>

/* Calls work(state, part) for each part below `parts`, on at most `threads` threads (0: as many as
 * there are cores), and returns when all have been done. */
void ps_parts_run(size_t threads, uint64_t parts, void (*work)(void *state, uint64_t part),
                  void *state);

#endif
