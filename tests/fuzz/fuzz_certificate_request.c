/* A certificate request out of any DER, and a chain out of any PEM: what is taken for a worker's
 * renewal makes a certificate of that worker and of nobody else. */
#include "common/security/certificate.h"
#include "common/security/certificate_build.h"
#include "common/security/certificate_renew.h"
#include "common/security/certificate_request.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct x509_st *ca, *worker;
static struct evp_pkey_st *ca_key, *worker_key;

static void require(bool good)
{
    if (!good)
        abort();
}

/* Once. */
static void make_pair(void)
{
    if (worker)
        return;
    ps_certificate_facts facts = {.cluster = "lab",
                                  .common_name = "psd CA",
                                  .uri = "spiffe://lab",
                                  .not_before = 1700000000,
                                  .not_after = 4000000000,
                                  .is_ca = true};
    require(!ps_certificate_new_key(&ca_key) && !ps_certificate_new_key(&worker_key));
    require(!ps_certificate_build(&facts, ca_key, NULL, NULL, &ca));
    facts.unit = "worker";
    facts.common_name = "w1";
    facts.uri = "spiffe://lab/worker/w1";
    facts.is_ca = false;
    facts.for_client = true;
    require(!ps_certificate_build(&facts, worker_key, ca, ca_key, &worker));
}

static void try_request(struct X509_req_st *request)
{
    ps_buf pem = PS_BUF_EMPTY;
    struct x509_st *made = NULL;
    ps_identity who;
    ps_certificate_request_pem(request, &pem);
    require(pem.len > 0);
    ps_buf_free(&pem);
    if (ps_certificate_request_check(request, worker))
        return;
    struct evp_pkey_st *key = ps_certificate_request_key(request);
    require(!ps_certificate_renew(worker, key, ca, ca_key, 60, &made));
    require(!ps_certificate_identity(made, &who) && who.role == PS_ROLE_WORKER);
    require(strcmp(who.name, "w1") == 0 && strcmp(who.cluster, "lab") == 0);
    ps_certificate_info info;
    ps_certificate_describe(made, &info);
    require(!info.is_ca && info.n_hosts == 0 && info.for_client && !info.for_server);
    require(strcmp(info.key_type, "P-256") == 0);
    ps_certificate_info_clear(&info);
    ps_certificate_unref(&made);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct X509_req_st *request = NULL;
    struct stack_st_X509 *chain = NULL;
    make_pair();
    if (!ps_certificate_request_read(ps_slice_of(data, size), &request))
        try_request(request);
    ps_certificate_request_free(&request);
    if (!ps_certificate_chain_read(ps_slice_of(data, size), &chain))
        require(ps_certificate_chain_first(chain) != NULL);
    ps_certificate_chain_free(&chain);
    return 0;
}
