/* conf_sample: structs with a member of every type that a configuration may have. Each test writes
 * the keys for them, as the ranges are what it tests. */
#ifndef PS_TEST_CONF_SAMPLE_H
#define PS_TEST_CONF_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct ps_test_conf_inner {
    char *name;
    int64_t port;
    char *text;
} ps_test_conf_inner;

typedef struct ps_test_conf {
    bool flag;
    int64_t number;
    double real;
    char *name;
    char *mode;
    unsigned word;
    uint64_t bytes;
    uint64_t wait_ms;
    int64_t *widths;
    size_t n_widths;
    char **roots;
    size_t n_roots;
    ps_test_conf_inner always;
    ps_test_conf_inner *maybe;
    ps_test_conf_inner *all; /* under names of the user's choice */
    size_t n_all;
    ps_test_conf_inner *list;
    size_t n_list;
} ps_test_conf;

#endif
