/* params: small stores, and pushes and pulls in one call, for the tests of server/. */
#ifndef PS_TEST_PARAMS_H
#define PS_TEST_PARAMS_H

#include "server/consistency/consistency.h"
#include "server/params/export.h"
#include "server/params/pull.h"
#include "server/params/push.h"

#include <stdlib.h>

/* The row of that name. */
const ps_controller_ops *test_controller(const char *name);

/* One matrix [rows, columns] named "w" (normal, scale 1) and one vector [columns] named "b"
 * (zeros), sgd with rate 1, asp. Fields may be changed before ps_param_store_create. */
typedef struct test_params {
    ps_param_plan plans[2];
    ps_param_config config;
} test_params;
void test_params_init(test_params *p, uint64_t rows, uint64_t columns);

/* The whole tensor, row-major; free() it. */
float *test_params_read(ps_param_store *store, uint32_t tensor);
/* Begins a push of client "worker", incarnation 1. */
ps_status test_params_begin(ps_param_store *store, uint64_t sequence, ps_push **out);
/* Adds value(row-major index) for the whole tensor, block by block; the push keeps copies that it
 * frees. */
ps_status test_params_add(ps_param_store *store, ps_push *push, uint32_t tensor,
                          float (*value)(void *user, uint64_t index), void *user);
/* A push of `client` that gives every element of every tensor the gradient `value`. */
ps_status test_params_push(ps_param_store *store, const char *client, const ps_push_header *header,
                           float value, ps_push_reply *reply);

#endif
