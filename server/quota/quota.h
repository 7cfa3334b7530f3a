/* quota: what one identity may use of a psd, whatever number of connections it makes. One table: a
 * new quota is a row of it, and who takes it (quotas.h) where it costs.
 *
 * Limits are said by role, and for one identity by its name (psd.yaml, section quotas); 0: none of
 * its own. Values, no ownership; pure; any thread.
 */
#ifndef PS_QUOTA_QUOTA_H
#define PS_QUOTA_QUOTA_H

#include "common/conf/conf.h"
#include "common/security/identity.h"

/* Of what kind: a LEVEL is taken and given back; a RATE is so many a second; a SUM is asked of
 * those who know it, and what is about to be part of it counted here. Its UNIT: COUNT or BYTES.
 *
 * name, key of psd.yaml, kind, unit, most, milliseconds until another try may be worth it (less
 * than 0: time alone does not help), what there is one of, and so many, what helps when time does
 * not */
// clang-format off
#define PS_QUOTA_TABLE(X)                                                                           \
    X(CONNECTIONS, connections, LEVEL, COUNT, 1000000, 1000, "connection", "connections", "")       \
    X(CALLS, streams, LEVEL, COUNT, 1000000, 100, "call at once", "calls at once", "")              \
    X(BYTES, in_flight, LEVEL, BYTES, INT64_C(1) << 50, 120, "in flight", "in flight", "")          \
    X(PUSHES, pushes_per_second, RATE, COUNT, 1000000, 0, "push a second", "pushes a second", "")   \
    X(JOBS, jobs, LEVEL, COUNT, 1000000, 10000, "job that has not ended", "jobs that have not ended", "") \
    X(STORED, stored, SUM, BYTES, INT64_C(1) << 50, -1, "stored", "stored",                         \
      "delete models, artifacts or ended jobs: psctl delete, delete-artifact, delete-job")
// clang-format on

typedef enum ps_quota {
#define X(name, ...) PS_QUOTA_##name,
    PS_QUOTA_TABLE(X)
#undef X
        PS_QUOTAS
} ps_quota;

/* What is said for a role or an identity. COUNTs and BYTES as conf has them; of an identity what is
 * not said is less than 0, or UINT64_MAX. */
#define PS_QUOTA_TYPE_COUNT int64_t
#define PS_QUOTA_TYPE_BYTES uint64_t
typedef struct ps_quota_limits {
#define X(name, key, kind, unit, ...) PS_QUOTA_TYPE_##unit key;
    PS_QUOTA_TABLE(X)
#undef X
} ps_quota_limits;

/* Whom: NAME in every role, or ROLE/NAME, which counts more. */
typedef struct ps_quota_override {
    char *who;
    ps_quota_limits limits;
} ps_quota_override;

typedef struct ps_quota_conf {
    ps_quota_limits worker, submitter, observer, admin;
    ps_quota_override *identities;
    size_t n_identities;
} ps_quota_conf;

extern const ps_conf_key ps_quota_keys[]; /* of ps_quota_conf */

/* What no key says alone: names are those of identities, and in_flight is at least `least`, which
 * lets a push and a message through that limits allow. */
PS_MUST_CHECK ps_status ps_quota_conf_check(const ps_quota_conf *conf, uint64_t least,
                                            const ps_conf_doc *doc);
/* What is allowed to who; 0: as much as there is. */
void ps_quota_conf_find(const ps_quota_conf *conf, const ps_identity *who,
                        uint64_t limits[PS_QUOTAS]);

const char *ps_quota_key(ps_quota quota); /* "in_flight" */
bool ps_quota_is_bytes(ps_quota quota);

/* PS_RESOURCE_EXHAUSTED: "quota of spiffe://lab/worker/x: 256 MiB in flight; try again in 120 ms".
 * retry_ms: 0: as the table says. */
ps_status ps_quota_refuse(const char *who, ps_quota quota, uint64_t limit, uint64_t retry_ms);

#endif
