/* identity: who somebody is, as a certificate's URI SAN says it: spiffe://CLUSTER/ROLE/NAME.
 *
 * The form is that of SPIFFE ID (spiffe.io, SPIFFE-ID standard section 2), made stricter: exactly
 * two path segments, the first one a role of the table below; CLUSTER and NAME have 1 to 63
 * characters of a-z, 0-9, '.', '-', '_', of which the first is a letter or digit. So there is
 * no percent-encoding, no port, no query, no "..", and one identity has exactly one spelling.
 * Values, no ownership; every function here is pure. Any thread.
 */
#ifndef PS_SECURITY_IDENTITY_H
#define PS_SECURITY_IDENTITY_H

#include "common/base/slice.h"
#include "common/base/status.h"

/* name, what it is for */
#define PS_ROLE_TABLE(X)                         \
    X(SERVER, server, "psd itself")              \
    X(WORKER, worker, "psworker")                \
    X(SUBMITTER, submitter, "submits jobs")      \
    X(OBSERVER, observer, "watches, read-only")  \
    X(ADMIN, admin, "runs and repairs a server") \
    X(SIGNER, signer, "signs models, and connects nowhere")

typedef enum ps_role {
    PS_ROLE_NONE, /* a zeroed identity is nobody */
#define X(upper, lower, text) PS_ROLE_##upper,
    PS_ROLE_TABLE(X)
#undef X
        PS_ROLE_COUNT
} ps_role;

/* Sets of roles: bits, PS_ROLE_BIT(PS_ROLE_WORKER) | … */
typedef unsigned ps_role_set;
#define PS_ROLE_BIT(role) (1u << (role))
#define PS_ROLES_CLIENTS                                            \
    (PS_ROLE_BIT(PS_ROLE_WORKER) | PS_ROLE_BIT(PS_ROLE_SUBMITTER) | \
     PS_ROLE_BIT(PS_ROLE_OBSERVER) | PS_ROLE_BIT(PS_ROLE_ADMIN))

#define PS_IDENTITY_PART_MAX 63  /* characters of CLUSTER and of NAME */
#define PS_IDENTITY_TEXT_MAX 160 /* bytes that hold any formatted identity and its zero */

typedef struct ps_identity {
    char cluster[PS_IDENTITY_PART_MAX + 1];
    char name[PS_IDENTITY_PART_MAX + 1];
    ps_role role;
} ps_identity;

/* From bytes without a terminating zero, possibly hostile. PS_INVALID_ARGUMENT says what is wrong,
 * with the bytes in question made printable. */
PS_MUST_CHECK ps_status ps_identity_parse(ps_slice uri, ps_identity *out);
/* The cluster of a CA: spiffe://CLUSTER. */
PS_MUST_CHECK ps_status ps_identity_parse_cluster(ps_slice uri, char out[PS_IDENTITY_PART_MAX + 1]);

/* For what people type: checks cluster, role and name as above. `name` may be any text. */
PS_MUST_CHECK ps_status ps_identity_make(const char *cluster, ps_role role, const char *name,
                                         ps_identity *out);
/* PS_OK when `text` can be a cluster's or a holder's name; `what` ("cluster", "name") is for the
 * message. */
PS_MUST_CHECK ps_status ps_identity_check_part(const char *what, ps_slice text);

/* "spiffe://CLUSTER/ROLE/NAME"; returns out. */
const char *ps_identity_format(const ps_identity *identity, char out[PS_IDENTITY_TEXT_MAX]);
bool ps_identity_equal(const ps_identity *a, const ps_identity *b);

const char *ps_role_name(ps_role role); /* "worker"; "none" for anything else */
PS_MUST_CHECK ps_status ps_role_parse(ps_slice text, ps_role *out);
/* "worker, admin"; "none" when empty. Cut where it does not fit. Returns out. */
const char *ps_role_set_text(ps_role_set roles, char *out, size_t size);

#endif
