/* The tables of services: what they say is what the .proto files say, and a body can be called by
 * whoever has a request and knows who asks, without a connection. */
#include "psd/v1/identity.pb-c.h"
#include "psd/v1/jobs.pb-c.h"
#include "psd/v1/models.pb-c.h"
#include "psd/v1/parameters.pb-c.h"
#include "psd/v1/workers.pb-c.h"
#include "server/service/unary.h"
#include "tests/lib/check_main.h"
#include "tests/lib/stored.h"
#include "tests/lib/world.h"

#include <stdio.h>
#include <string.h>

static const struct {
    const ProtobufCServiceDescriptor *service;
    const ps_unary_method *unary;
    const ps_rpc_method *calls; /* NULL: it has none */
} services[] = {
    {&psd__v1__parameters__descriptor, ps_parameters_unary, ps_parameters_calls},
    {&psd__v1__jobs__descriptor, ps_jobs_unary, ps_jobs_calls},
    {&psd__v1__workers__descriptor, ps_workers_unary, ps_workers_calls},
    {&psd__v1__models__descriptor, ps_models_unary, ps_models_calls},
    {&psd__v1__admin__descriptor, ps_admin_unary, NULL},
    {&psd__v1__identity__descriptor, ps_identity_unary, NULL},
};

/* How often the method is in the tables; what stands there is what its service says. */
static unsigned count_rows(size_t i, const ProtobufCMethodDescriptor *method)
{
    char path[128];
    unsigned n = 0;
    (void)snprintf(path, sizeof path, "/%s/%s", services[i].service->name, method->name);
    for (const ps_unary_method *m = services[i].unary; m->path; m++) {
        if (strcmp(m->path, path) != 0)
            continue;
        ck_assert_ptr_eq(m->request, method->input);
        ck_assert_ptr_eq(m->response, method->output);
        ck_assert_ptr_eq(ps_unary_find(path), m);
        n++;
    }
    for (const ps_rpc_method *m = services[i].calls; m && m->name; m++) {
        if (strcmp(m->name, method->name) != 0)
            continue;
        ck_assert_ptr_eq(m->request, method->input);
        ck_assert_ptr_null(ps_unary_find(path));
        n++;
    }
    return n;
}

START_TEST(each_method_of_a_service_is_in_one_of_its_tables)
{
    size_t rows = 0, methods = 0;
    for (size_t i = 0; i < sizeof services / sizeof *services; i++) {
        ck_assert_ptr_eq(ps_unary_tables[i], services[i].unary);
        for (unsigned m = 0; m < services[i].service->n_methods; m++, methods++)
            ck_assert_uint_eq(count_rows(i, &services[i].service->methods[m]), 1);
        for (const ps_unary_method *m = services[i].unary; m->path; m++)
            rows++;
        for (const ps_rpc_method *m = services[i].calls; m && m->name; m++)
            rows++;
    }
    ck_assert_ptr_null(ps_unary_tables[sizeof services / sizeof *services]);
    ck_assert_uint_eq(rows, methods);
}
END_TEST

/* What an HTTP listener would do with a decoded body: the reply is freed by the caller. */
static ps_status ask(ps_services *s, const char *role_and_name, const char *path,
                     const ProtobufCMessage *request, ProtobufCMessage **reply)
{
    const ps_unary_method *method = ps_unary_find(path);
    ps_caller caller = {0};
    ck_assert_ptr_nonnull(method);
    ck_assert_ptr_eq(method->request, request->descriptor);
    (void)snprintf(caller.name, sizeof caller.name, "spiffe://lab/%s", role_and_name);
    (void)snprintf(caller.path, sizeof caller.path, "%s", path);
    ck_ok(ps_identity_parse(ps_slice_str(caller.name), &caller.identity));
    *reply = NULL;
    ps_status st = method->body(s, &caller, request, reply);
    if (!st)
        ck_assert_ptr_eq((*reply)->descriptor, method->response);
    return st;
}

static const char job_file[] = "kind: train\nname: a\nmodel: {architecture: mlp, layers: [4, 3]}\n"
                               "data: {format: idx, train: {features: /x, labels: /y}}\n"
                               "train: {epochs: 1, optimizer: {name: sgd, learning_rate: 1}}\n";

START_TEST(a_body_is_called_through_its_table_without_a_connection)
{
    test_stored stored;
    test_stored_open(&stored);
    ps_world *world = ps_world_new(NULL, true);
    ps_services s = {.sched = world->sched, .files = stored.files};
    Psd__V1__SubmitRequest submit = PSD__V1__SUBMIT_REQUEST__INIT;
    Psd__V1__GetJobRequest get = PSD__V1__GET_JOB_REQUEST__INIT;
    Psd__V1__CancelJobRequest cancel = PSD__V1__CANCEL_JOB_REQUEST__INIT;
    char text[sizeof job_file];
    memcpy(text, job_file, sizeof text);
    ProtobufCMessage *reply;
    submit.spec = text;
    ck_ok(ask(&s, "submitter/alice", "/psd.v1.Jobs/Submit", &submit.base, &reply));
    get.job_id = cancel.job_id = ((Psd__V1__SubmitResponse *)reply)->job_id;
    protobuf_c_message_free_unpacked(reply, NULL);

    ck_ok(ask(&s, "observer/eve", "/psd.v1.Jobs/Get", &get.base, &reply));
    ck_assert_str_eq(((Psd__V1__Job *)reply)->submitter, "spiffe://lab/submitter/alice");
    protobuf_c_message_free_unpacked(reply, NULL);

    /* a body knows who asks */
    ck_assert_int_eq(ask(&s, "submitter/bob", "/psd.v1.Jobs/Cancel", &cancel.base, &reply),
                     PS_PERMISSION_DENIED);
    ck_assert_ptr_null(reply);
    ck_ok(ask(&s, "submitter/alice", "/psd.v1.Jobs/Cancel", &cancel.base, &reply));
    protobuf_c_message_free_unpacked(reply, NULL);
    ps_world_free(&world);
    test_stored_close(&stored);
}
END_TEST

static const ps_check_case tests[] = {
    {&each_method_of_a_service_is_in_one_of_its_tables},
    {&a_body_is_called_through_its_table_without_a_connection},
    {0},
};

int main(void)
{
    return ps_check_main("service/methods", tests);
}
