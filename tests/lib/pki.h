/* pki: a throwaway CA and certificates in a temporary folder, for tests of whatever speaks TLS.
 *
 *     ps_test_pki pki;
 *     ps_test_pki_open(&pki, "lab");                        // ca.pem, ca.key
 *     ps_test_pki_server(&pki, "psd", "localhost");         // psd.pem, psd.key (and 127.0.0.1)
 *     ps_test_pki_client(&pki, PS_ROLE_WORKER, "w1");       // w1.pem, w1.key
 *     ps_tls_context *server = ps_test_pki_context(&pki, PS_TLS_SERVER, "psd");
 *     ps_test_pki_close(&pki);                              // removes the folder
 *
 * Whatever fails here fails the test.
 */
#ifndef PS_TEST_PKI_H
#define PS_TEST_PKI_H

#include "common/security/certificate_issue.h"
#include "common/security/crl_issue.h"
#include "common/security/identity.h"
#include "common/transport/tls/tls_context.h"

#define PS_TEST_PATH_MAX 256

typedef struct ps_test_pki {
    char folder[64];
} ps_test_pki;

void ps_test_pki_open(ps_test_pki *pki, const char *cluster);
void ps_test_pki_close(ps_test_pki *pki);
/* "FOLDER/NAMESUFFIX"; returns out. */
const char *ps_test_pki_path(const ps_test_pki *pki, const char *name, const char *suffix,
                             char out[PS_TEST_PATH_MAX]);

/* Runs a command of the shell in the folder: its output, and its exit status. */
int ps_test_pki_shell(const ps_test_pki *pki, const char *command, char *out, size_t size);
/* It succeeds or not as said, and says `part`. */
void ps_test_pki_expect(const ps_test_pki *pki, const char *command, bool good, const char *part);

/* What psctl cert revoke and cert crl do, by this CA: ca.crl. The files of the CA are filled in. */
PS_MUST_CHECK ps_status ps_test_pki_crl(const ps_test_pki *pki, ps_crl_request request,
                                        ps_crl_result *out);

void ps_test_pki_server(const ps_test_pki *pki, const char *name, const char *host);
void ps_test_pki_client(const ps_test_pki *pki, ps_role role, const char *name);
/* In force between the two times (seconds since 1970): one that is over, or not yet begun. */
void ps_test_pki_client_at(const ps_test_pki *pki, ps_role role, const char *name,
                           int64_t not_before, int64_t not_after);
void ps_test_pki_server_at(const ps_test_pki *pki, const char *name, const char *host,
                           int64_t not_before, int64_t not_after);

/* A context that trusts this CA and shows NAME.pem, which may be unfit (ps_tls_options.unchecked).
 */
ps_tls_context *ps_test_pki_context(const ps_test_pki *pki, ps_tls_side side, const char *name);

#endif
