/* Happy path: a role's limits, and over them those of the name, and over these those of role and
 * name. What can be wrong is a name that no identity has, and what could never be kept. */
#include "server/quota/quota.h"

#include "common/base/buf.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { IDENTITIES_MOST = 10000 };

/* Of a role what is not said is 0; of an identity it is the role's. */
#define KEY_COUNT(key, T, member, unsaid, most) PS_CONF_INT(key, T, member, unsaid, 0, most)
#define KEY_BYTES(key, T, member, unsaid, most) PS_CONF_BYTES(key, T, member, unsaid, 0, most)

static const ps_conf_key role_keys[] = {
#define X(name, key, kind, unit, most, ...) KEY_##unit(#key, ps_quota_limits, key, "0", most),
    PS_QUOTA_TABLE(X)
#undef X
        PS_CONF_END,
};

static const ps_conf_key identity_keys[] = {
    PS_CONF_TEXT("who", ps_quota_override, who, "x", 1, 2 * PS_IDENTITY_PART_MAX),
#define X(name, key, kind, unit, most, ...) \
    KEY_##unit(#key, ps_quota_override, limits.key, PS_CONF_UNSAID, most),
    PS_QUOTA_TABLE(X)
#undef X
        PS_CONF_END,
};

const ps_conf_key ps_quota_keys[] = {
    PS_CONF_MAP("worker", ps_quota_conf, worker, role_keys),
    PS_CONF_MAP("submitter", ps_quota_conf, submitter, role_keys),
    PS_CONF_MAP("observer", ps_quota_conf, observer, role_keys),
    PS_CONF_MAP("admin", ps_quota_conf, admin, role_keys),
    PS_CONF_NAMED("identities", ps_quota_conf, identities, identity_keys, IDENTITIES_MOST),
    PS_CONF_END,
};

static bool is_said_COUNT(int64_t n)
{
    return n >= 0;
}

static bool is_said_BYTES(uint64_t n)
{
    return n != UINT64_MAX;
}

static void put(const ps_quota_limits *from, uint64_t to[PS_QUOTAS])
{
#define X(name, key, kind, unit, ...) \
    if (is_said_##unit(from->key))    \
        to[PS_QUOTA_##name] = (uint64_t)from->key;
    PS_QUOTA_TABLE(X)
#undef X
}

static const ps_quota_limits *of_role(const ps_quota_conf *conf, ps_role role)
{
    switch (role) {
    case PS_ROLE_WORKER:
        return &conf->worker;
    case PS_ROLE_SUBMITTER:
        return &conf->submitter;
    case PS_ROLE_OBSERVER:
        return &conf->observer;
    case PS_ROLE_ADMIN:
        return &conf->admin;
    default:
        return NULL; /* servers do not call servers */
    }
}

static void put_override(const ps_quota_conf *conf, const char *who, uint64_t to[PS_QUOTAS])
{
    for (size_t i = 0; i < conf->n_identities; i++)
        if (strcmp(conf->identities[i].who, who) == 0)
            put(&conf->identities[i].limits, to);
}

void ps_quota_conf_find(const ps_quota_conf *conf, const ps_identity *who,
                        uint64_t limits[PS_QUOTAS])
{
    memset(limits, 0, PS_QUOTAS * sizeof *limits);
    const ps_quota_limits *role = of_role(conf, who->role);
    if (!role)
        return;
    put(role, limits);
    char full[PS_IDENTITY_TEXT_MAX];
    (void)snprintf(full, sizeof full, "%s/%s", ps_role_name(who->role), who->name);
    put_override(conf, who->name, limits);
    put_override(conf, full, limits);
}

/* NAME or ROLE/NAME, of a role that calls: limits of another would say something and do nothing. */
static ps_status check_who(const ps_quota_conf *conf, const char *who)
{
    const char *slash = strchr(who, '/');
    ps_role role;
    ps_status st = PS_OK;
    if (slash)
        st = ps_role_parse(ps_slice_of(who, (size_t)(slash - who)), &role);
    if (!st && slash && !of_role(conf, role))
        st = ps_fail(PS_INVALID_ARGUMENT, "a %s calls nobody", ps_role_name(role));
    if (!st)
        st = ps_identity_check_part("name", ps_slice_str(slash ? slash + 1 : who));
    return st;
}

/* A push that is whole in memory before it is answered would be refused for ever. */
static ps_status check_bytes(const ps_quota_limits *limits, uint64_t least, const char *path,
                             const ps_conf_doc *doc)
{
    uint64_t n = limits->in_flight;
    if (!n || n == UINT64_MAX || n >= least)
        return PS_OK;
    return ps_conf_fail(doc, path,
                        "must be 0 or at least %" PRIu64
                        ", twice the larger of limits.push_bytes and limits.message_bytes, or a "
                        "push of that size could never end",
                        least);
}

static ps_status check_override(const ps_quota_conf *conf, const ps_quota_override *override,
                                uint64_t least, const ps_conf_doc *doc)
{
    char path[2 * PS_IDENTITY_PART_MAX + 64];
    int n = snprintf(path, sizeof path, "quotas.identities.%s", override->who);
    if (check_who(conf, override->who))
        return ps_conf_fail(doc, path, "is no NAME and no ROLE/NAME: %s", ps_error_message());
    (void)snprintf(path + n, sizeof path - (size_t)n, ".in_flight");
    return check_bytes(&override->limits, least, path, doc);
}

ps_status ps_quota_conf_check(const ps_quota_conf *conf, uint64_t least, const ps_conf_doc *doc)
{
    ps_status st = PS_OK;
    for (ps_role role = PS_ROLE_NONE; !st && role < PS_ROLE_COUNT; role++) {
        const ps_quota_limits *limits = of_role(conf, role);
        char path[64];
        (void)snprintf(path, sizeof path, "quotas.%s.in_flight", ps_role_name(role));
        if (limits)
            st = check_bytes(limits, least, path, doc);
    }
    for (size_t i = 0; !st && i < conf->n_identities; i++)
        st = check_override(conf, &conf->identities[i], least, doc);
    return st;
}
