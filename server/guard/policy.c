/* policy: the table of call × role. Deny by default: no row, no call; no mark, no call. */
#include "server/guard/policy.h"

#include <stdio.h>
#include <string.h>

#define ROLES(server, worker, submitter, observer, admin)                                    \
    ((server)*PS_ROLE_BIT(PS_ROLE_SERVER) | (worker)*PS_ROLE_BIT(PS_ROLE_WORKER) |           \
     (submitter)*PS_ROLE_BIT(PS_ROLE_SUBMITTER) | (observer)*PS_ROLE_BIT(PS_ROLE_OBSERVER) | \
     (admin)*PS_ROLE_BIT(PS_ROLE_ADMIN))

/* A worker exchanges parameters and takes tasks. A submitter has jobs and models: it looks at and
 * uses everybody's, but cancels, replaces and deletes only its own (server/service/owner.c). An
 * observer sees what goes on, and reads what jobs report (common/format/artifact_name.h), but never
 * a weight: parameters, model files and other artifacts are what psd guards. An admin does
 * everything but stand in for a worker. Servers do not call servers yet.
 */
// clang-format off
static const ps_policy_rule rules[] = {
    /*                                         server worker submitter observer admin */
    {"/psd.v1.Parameters/Describe",       ROLES(0,     1,     1,        0,       1)},
    {"/psd.v1.Parameters/Pull",           ROLES(0,     1,     1,        0,       1)},
    {"/psd.v1.Parameters/Push",           ROLES(0,     1,     0,        0,       0)},
    {"/psd.v1.Parameters/Clock",          ROLES(0,     1,     0,        0,       0)},

    {"/psd.v1.Jobs/Submit",               ROLES(0,     0,     1,        0,       1)},
    {"/psd.v1.Jobs/Get",                  ROLES(0,     0,     1,        1,       1)},
    {"/psd.v1.Jobs/List",                 ROLES(0,     0,     1,        1,       1)},
    {"/psd.v1.Jobs/Cancel",               ROLES(0,     0,     1,        0,       1)},
    {"/psd.v1.Jobs/Watch",                ROLES(0,     0,     1,        1,       1)},
    {"/psd.v1.Jobs/Delete",               ROLES(0,     0,     1,        0,       1)},
    {"/psd.v1.Jobs/Prune",                ROLES(0,     0,     1,        0,       1)},

    {"/psd.v1.Workers/Attach",            ROLES(0,     1,     0,        0,       0)},
    {"/psd.v1.Workers/List",              ROLES(0,     0,     1,        1,       1)},

    {"/psd.v1.Models/List",               ROLES(0,     0,     1,        1,       1)},
    {"/psd.v1.Models/Get",                ROLES(0,     0,     1,        1,       1)},
    {"/psd.v1.Models/Import",             ROLES(0,     0,     1,        0,       1)},
    {"/psd.v1.Models/Export",             ROLES(0,     1,     1,        0,       1)},
    {"/psd.v1.Models/Delete",             ROLES(0,     0,     1,        0,       1)},
    {"/psd.v1.Models/ListArtifacts",      ROLES(0,     0,     1,        1,       1)},
    {"/psd.v1.Models/PutArtifact",        ROLES(0,     1,     1,        0,       1)},
    {"/psd.v1.Models/GetArtifact",        ROLES(0,     1,     1,        1,       1)},
    {"/psd.v1.Models/DeleteArtifact",     ROLES(0,     0,     1,        0,       1)},

    {"/psd.v1.Admin/Status",              ROLES(0,     0,     1,        1,       1)},
    {"/psd.v1.Admin/Quotas",              ROLES(0,     0,     1,        1,       1)},
    {"/psd.v1.Admin/Reload",              ROLES(0,     0,     0,        0,       1)},
    {"/psd.v1.Admin/Checkpoint",          ROLES(0,     0,     0,        0,       1)},
    {"/psd.v1.Admin/Drain",               ROLES(0,     0,     0,        0,       1)},
    {"/psd.v1.Admin/Keys",                ROLES(0,     0,     0,        0,       1)},
    {"/psd.v1.Admin/RotateKeys",          ROLES(0,     0,     0,        0,       1)},
    {"/psd.v1.Admin/RetireKey",           ROLES(0,     0,     0,        0,       1)},

    /* a new certificate for oneself */
    {"/psd.v1.Identity/Renew",            ROLES(0,     1,     1,        1,       1)},

    /* gRPC's own: everybody with an identity */
    {"/grpc.health.v1.Health/Check",      ROLES(1,     1,     1,        1,       1)},
    {"/grpc.health.v1.Health/List",       ROLES(1,     1,     1,        1,       1)},
    {"/grpc.health.v1.Health/Watch",      ROLES(1,     1,     1,        1,       1)},
    {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
                                          ROLES(1,     1,     1,        1,       1)},
    {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                                          ROLES(1,     1,     1,        1,       1)},
};
// clang-format on

const ps_policy_rule *ps_policy_rule_at(size_t i)
{
    return i < sizeof rules / sizeof *rules ? &rules[i] : NULL;
}

static const ps_policy_rule *find(const char *path)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strcmp(rules[i].path, path) == 0)
            return &rules[i];
    return NULL;
}

/* A path nobody knows is the peer's text: short and printable before it is repeated. */
static ps_status deny_unknown(const ps_identity *who, const char *path)
{
    char shown[100];
    size_t n = 0;
    for (; path[n] && n < sizeof shown - 1; n++)
        shown[n] = path[n] > 0x20 && path[n] < 0x7f ? path[n] : '?';
    shown[n] = 0;
    return ps_fail(PS_PERMISSION_DENIED, "role %s may not call %s; it has no rule, so nobody may",
                   ps_role_name(who->role), *shown == '/' ? shown + 1 : shown);
}

ps_status ps_policy_check(const ps_identity *who, const char *path)
{
    const ps_policy_rule *rule = find(path);
    if (!rule)
        return deny_unknown(who, path);
    bool known = who->role > PS_ROLE_NONE && who->role < PS_ROLE_COUNT;
    if (known && (rule->roles & PS_ROLE_BIT(who->role)))
        return PS_OK;
    char allowed[80];
    return ps_fail(PS_PERMISSION_DENIED, "role %s may not call %s; allowed roles: %s",
                   ps_role_name(who->role), path + 1,
                   ps_role_set_text(rule->roles, allowed, sizeof allowed));
}
