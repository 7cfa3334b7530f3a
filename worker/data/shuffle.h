/* shuffle: a permutation of 0..rows-1 that everybody computes alike from (rows, seed, epoch).
 *
 * A task is a range of positions; position i of an epoch is row ps_shuffle_at(&s, i). Nothing is
 * stored: a Feistel network over the next power of four, walked until it lands inside (Black and
 * Rogaway 2002, "Ciphers with arbitrary finite domains"). Not a cipher: only a good mix. Plain
 * value; any thread.
 */
#ifndef PS_WORKER_DATA_SHUFFLE_H
#define PS_WORKER_DATA_SHUFFLE_H

#include <stdint.h>

enum { PS_SHUFFLE_ROUNDS = 6 };

typedef struct ps_shuffle {
    uint64_t rows;
    uint32_t half_bits;
    uint64_t mask; /* of half_bits */
    uint64_t keys[PS_SHUFFLE_ROUNDS];
} ps_shuffle;

ps_shuffle ps_shuffle_make(uint64_t rows, uint64_t seed, uint64_t epoch);
uint64_t ps_shuffle_at(const ps_shuffle *shuffle, uint64_t position); /* position < rows */

#endif
