/* ledger_private: what ledger.c and ledger_save.c share. */
#ifndef PS_PARAMS_LEDGER_PRIVATE_H
#define PS_PARAMS_LEDGER_PRIVATE_H

#include "common/base/mutex.h"
#include "server/params/ledger.h"

/* A task that is out. */
typedef struct ps_ledger_lease {
    uint64_t id;
    uint32_t epoch;
    ps_row_span rows;
    bool says;      /* its pushes say their rows */
    char *worker;   /* whose it is; NULL: anybody's */
    uint32_t words; /* ps_ledger_lease_limit */
} ps_ledger_lease;

/* Rows that some blocks have and others have not; or, when `whole`, that all have once the clock
 * has ended. One bit a block. */
typedef struct ps_ledger_half {
    uint32_t epoch;
    ps_row_span rows;
    uint8_t *applied, *pending; /* pending: of the ledger's clock */
    uint64_t lease, clock;      /* of the gradient whose parts are counted: */
    uint32_t parts;             /* that have come, */
    uint8_t *come;              /* and which blocks with them */
    bool whole;
} ps_ledger_half;

struct ps_ledger {
    ps_mutex lock;
    uint64_t blocks;
    ps_ledger_state state; /* without what is pending */
    ps_row_set pending[2]; /* of the same epochs: done when `clock` has ended */
    uint64_t clock;        /* the newest that anything was booked for */
    ps_ledger_lease *leases;
    size_t n_leases, leases_capacity;
    ps_ledger_half *halves;
    size_t n_halves, halves_capacity;
};

static inline size_t ps_ledger_bits(const ps_ledger *ledger)
{
    return (size_t)((ledger->blocks + 7) / 8);
}

/* With the lock: the clock that rows waited for has ended. */
void ps_ledger_settle(ps_ledger *ledger);
/* With the lock: makes a half, of these rows, that no block has yet. */
ps_ledger_half *ps_ledger_half_add(ps_ledger *ledger, uint32_t epoch, ps_row_span rows);

#endif
