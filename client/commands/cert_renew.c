/* cert renew: a new certificate for the person who asks, over the connection of the one before. The
 * key is made here and stays here. */
#include "client/call/client.h"
#include "client/call/support.h"
#include "client/cli/context.h"
#include "client/commands/commands.h"
#include "common/security/certificate.h"
#include "common/security/pem_renewal.h"
#include "psd/v1/identity.pb-c.h"

static void write_json(ps_client *client, const ps_context *c, const char *who, int64_t until)
{
    ps_json_writer w = ps_json_begin(client);
    ps_json_object(&w);
    ps_json_put_string(&w, "identity", who);
    ps_json_put_string(&w, "certificate", c->certificate);
    ps_json_put_string(&w, "key", c->key);
    ps_json_put_int(&w, "not_after", until);
    ps_json_object_end(&w);
    ps_json_finish(client);
}

static ps_status report(ps_client *client, const ps_context *c, struct x509_st *cert, int64_t until)
{
    ps_identity who;
    char name[PS_IDENTITY_TEXT_MAX], when[PS_CERTIFICATE_TIME_MAX];
    ps_status st = ps_certificate_identity(cert, &who);
    if (st)
        return st;
    ps_identity_format(&who, name);
    if (client->json)
        write_json(client, c, name, until);
    else
        ps_buf_printf(&client->out, "%s until %s\n  certificate  %s\n  key          %s\n", name,
                      ps_certificate_time_text(until, when), c->certificate, c->key);
    return PS_OK;
}

static ps_status ask(ps_client *client, ps_pem_renewal *pair, ProtobufCMessage **reply)
{
    ps_slice der = ps_pem_renewal_request(pair);
    Psd__V1__RenewRequest request = PSD__V1__RENEW_REQUEST__INIT;
    request.request.data = (uint8_t *)(uintptr_t)der.data; /* only read */
    request.request.len = der.len;
    return ps_client_unary(client, "/psd.v1.Identity/Renew", &request.base,
                           &psd__v1__renew_response__descriptor, reply);
}

static ps_status renew(ps_client *client, const ps_context *c)
{
    ProtobufCMessage *reply = NULL;
    ps_pem_renewal *pair = NULL;
    ps_status st = ps_client_connect(client); /* with the pair that is there */
    if (!st)
        st = ps_pem_renewal_begin(
            &(ps_pem_renewal_files){
                .cert = c->certificate, .key = c->key, .ca = c->ca, .wait_ms = PS_PEM_SWAP_WAIT_MS},
            &pair);
    if (!st)
        st = ask(client, pair, &reply);
    if (!st) {
        const Psd__V1__RenewResponse *answer = (const Psd__V1__RenewResponse *)(void *)reply;
        st = ps_pem_renewal_finish(pair, ps_slice_str(answer->chain), answer->now_ms / 1000);
        if (!st)
            st = report(client, c, ps_pem_renewal_before(pair), answer->not_after_ms / 1000);
    }
    ps_reply_free(&reply);
    ps_pem_renewal_free(&pair);
    return st;
}

static ps_status run(ps_client *client, const ps_args *args)
{
    (void)args;
    ps_context context = {0};
    ps_status st = ps_context_resolve(&client->globals, &context);
    if (st)
        return st;
    st = renew(client, &context);
    ps_context_clear(&context);
    return st;
}

const ps_command ps_command_cert_renew = {
    .name = "cert renew",
    .operands = "",
    .help = "replace your own certificate and key, in time, by new ones",
    .details = "psd signs it for the identity of the one you have, if identity.renew of its\n"
               "configuration is set. An expired one is not renewed: who runs psd gives you\n"
               "another one.\n",
    .run = run,
};
