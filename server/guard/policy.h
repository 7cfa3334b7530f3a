/* policy: who may make which call. One table, in policy.c; what has no row there is denied.
 *
 * Roles are the coarse half of authorisation; what depends on the object (a worker touches only
 * jobs it holds leases of) is the services' to check. Any thread.
 */
#ifndef PS_GUARD_POLICY_H
#define PS_GUARD_POLICY_H

#include "common/base/status.h"
#include "common/security/identity.h"

#include <stddef.h>

/* path as in HTTP/2's :path, "/psd.v1.Jobs/Submit", possibly hostile. PS_PERMISSION_DENIED with
 * "role observer may not call psd.v1.Jobs/Submit; allowed roles: submitter, admin". */
PS_MUST_CHECK ps_status ps_policy_check(const ps_identity *who, const char *path);

/* The table, for tests and for documentation; NULL behind its end. */
typedef struct ps_policy_rule {
    const char *path;
    ps_role_set roles;
} ps_policy_rule;
const ps_policy_rule *ps_policy_rule_at(size_t i);

#endif
