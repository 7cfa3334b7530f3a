/* Happy path: the first list that OpenSSL takes. One that has a group it does not know it refuses
 * as a whole, and it knows X25519MLKEM768 from 3.5 on. A star asks a client to send a share of that
 * group's key at once, so that a server without the first group costs no further round trip. */
#include "common/transport/tls/tls_groups.h"

#include "common/base/mem.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#define PQ      "X25519MLKEM768"
#define CLASSIC "X25519:P-256"

static bool take(SSL_CTX *context, const char *list)
{
    char *text = ps_strdup(list); /* OpenSSL's macro drops const */
    bool taken = SSL_CTX_set1_groups_list(context, text) == 1;
    ps_free(&text);
    ERR_clear_error();
    return taken;
}

ps_status ps_tls_groups_set(SSL_CTX *context, ps_tls_groups groups)
{
    static const char *const lists[][4] = {
        [PS_TLS_GROUPS_AUTO] = {"*" PQ ":*" CLASSIC, PQ ":" CLASSIC, CLASSIC},
        [PS_TLS_GROUPS_PQ] = {PQ},
        [PS_TLS_GROUPS_CLASSIC] = {CLASSIC},
    };
    for (const char *const *list = lists[groups]; *list; list++)
        if (take(context, *list))
            return PS_OK;
    return ps_fail(PS_FAILED_PRECONDITION,
                   "tls.groups: pq needs " PQ ", which %s does not have (3.5 and later do); auto "
                   "takes it where it is there",
                   OpenSSL_version(OPENSSL_VERSION));
}
