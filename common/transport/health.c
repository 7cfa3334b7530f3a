#include "common/transport/rpc_internal.h"
void ps_health_add(ps_rpc_server *server)
{
    (void)server;
}
void ps_health_changed(ps_rpc_home *home)
{
    (void)home;
}
void ps_reflection_add(ps_rpc_server *server)
{
    (void)server;
}
