/* word: what the checker knows of four bytes. */
#ifndef PS_TEST_CUDA_WORD_H
#define PS_TEST_CUDA_WORD_H

#include <stdint.h>

/* One access, and where in the grid's run it stands. */
typedef struct ps_access {
    uint32_t launch, block; /* launch 0: none yet */
    uint16_t thread, epoch, warp_epoch;
    uint8_t bytes;  /* which of the word's, a bit each */
    uint8_t others; /* readers only: who else reads the same bytes, see checker.cc */
} ps_access;

struct ps_word {
    ps_access write, read;
    uint8_t known; /* bytes that hold a value */
    bool atomic;   /* the writer is */
};

#endif
