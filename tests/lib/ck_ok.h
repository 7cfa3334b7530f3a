/* ck_ok: a call must return PS_OK; else the test fails with the call, its status and message. */
#ifndef PS_TEST_CK_OK_H
#define PS_TEST_CK_OK_H

#include "common/base/status.h"

#include <check.h>

#define ck_ok(call)                                                                     \
    do {                                                                                \
        ps_status ck_ok_st = (call);                                                    \
        ck_assert_msg(ck_ok_st == PS_OK, "%s: %s: %s", #call, ps_status_name(ck_ok_st), \
                      ps_error_message());                                              \
    } while (0)

#endif
