/* remote_rig: a psd of parts on loopback over mTLS, and a task's way to it: what the worker's half
 * is tested with. Its services are fakes that the test brings.
 *
 *     ps_test_remote_rig rig;
 *     ps_rpc_service services[] = {fake_parameters_service(&fake)};
 *     ps_test_remote_rig_open(&rig, services, 1);
 *     ... &rig.remote, rig.backend ...
 *     ps_test_remote_rig_close(&rig);
 */
#ifndef PS_TEST_REMOTE_RIG_H
#define PS_TEST_REMOTE_RIG_H

#include "common/transport/server/rpc_server.h"
#include "gpu/backend.h"
#include "tests/lib/pki.h"
#include "worker/remote/remote.h"

typedef struct ps_test_remote_rig {
    ps_test_pki pki;
    ps_tls_context *server_tls, *client_tls;
    ps_loops *server_loops, *client_loops;
    ps_rpc_server *server;
    char target[32];
    ps_gate gate;
    ps_remote remote; /* of the test's thread */
    ps_backend *backend;
} ps_test_remote_rig;

void ps_test_remote_rig_open(ps_test_remote_rig *rig, const ps_rpc_service *services, size_t n);
/* The same on a device of which a case is repeated over all: LAZY has memory of its own
 * (lazy_backend.h). */
typedef enum ps_test_where { PS_TEST_CPU, PS_TEST_LAZY, PS_TEST_DEVICES } ps_test_where;
void ps_test_remote_rig_open_on(ps_test_remote_rig *rig, ps_test_where where,
                                const ps_rpc_service *services, size_t n);
void ps_test_remote_rig_close(ps_test_remote_rig *rig);

#endif
