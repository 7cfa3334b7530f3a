/* Parameters: Describe here; Pull, Push and Clock in files of their own. */
#include "common/base/mem.h"
#include "psd/v1/parameters.pb-c.h"
#include "server/service/unary.h"

static Psd__V1__Shard *describe_shard(ps_param_store *store, uint32_t tensor, uint32_t index)
{
    const ps_placement *placement = ps_param_store_placement(store);
    const ps_param_shard *from = &placement->tensors[tensor].shards[index];
    Psd__V1__Shard *out = PS_REPLY_NEW(Psd__V1__Shard, psd__v1__shard);
    out->index = index;
    out->column_begin = from->column_begin;
    out->column_end = from->column_end;
    out->elements = from->elements;
    out->block_elements = placement->block_elements;
    out->n_block_versions = from->blocks;
    out->block_versions = ps_alloc_array(from->blocks, sizeof *out->block_versions);
    for (uint32_t b = 0; b < from->blocks; b++)
        out->block_versions[b] = ps_param_store_block_version(store, tensor, index, b);
    return out;
}

static Psd__V1__Tensor *describe_tensor(uint32_t id, const char *name, uint32_t rank,
                                        const uint64_t *shape)
{
    Psd__V1__Tensor *out = PS_REPLY_NEW(Psd__V1__Tensor, psd__v1__tensor);
    out->id = id;
    out->name = ps_strdup(name);
    out->data_type = PSD__V1__DATA_TYPE__DATA_TYPE_FLOAT32;
    out->n_shape = rank;
    out->shape = ps_alloc_array(rank, sizeof *out->shape);
    for (uint32_t i = 0; i < rank; i++)
        out->shape[i] = shape[i];
    return out;
}

static void describe_run(ps_param_store *store, Psd__V1__DescribeResponse *out)
{
    const ps_placement *placement = ps_param_store_placement(store);
    out->version = ps_param_store_version(store);
    out->tensors = ps_alloc_array(placement->n_tensors, sizeof *out->tensors);
    for (uint32_t i = 0; i < placement->n_tensors; i++) {
        const ps_param_tensor *from = &placement->tensors[i];
        Psd__V1__Tensor *tensor = describe_tensor(i, from->name, from->rank, from->shape);
        char form[PS_FORM_TEXT];
        if (from->form.row)
            tensor->form = ps_strdup(ps_form_text(from->form, form));
        tensor->transposed = from->transposed;
        tensor->shards = ps_alloc_array(from->n_shards, sizeof *tensor->shards);
        for (uint32_t s = 0; s < from->n_shards; s++)
            tensor->shards[tensor->n_shards++] = describe_shard(store, i, s);
        out->tensors[out->n_tensors++] = tensor;
    }
}

static ps_status describe_model(ps_services *services, const ps_caller *caller,
                                const Psd__V1__DescribeRequest *in, Psd__V1__DescribeResponse *out)
{
    const ps_model_wanted wanted = {.name = in->model, .version = "", .job_id = in->job_id};
    ps_model_record *model = NULL;
    char *version = NULL;
    ps_status st = ps_services_may_use_model(services, &caller->identity, &wanted, &version);
    if (!st)
        st = ps_catalog_model_version(services->files.catalog, in->model, version, &model);
    ps_free(&version);
    if (st)
        return st;
    out->tensors = ps_alloc_array(model->n_tensors, sizeof *out->tensors);
    for (size_t i = 0; i < model->n_tensors; i++) {
        const ps_model_tensor *from = &model->tensors[i];
        out->tensors[out->n_tensors++] =
            describe_tensor((uint32_t)i, from->name, from->rank, from->shape);
    }
    ps_model_record_free(&model);
    return PS_OK;
}

static ps_status describe(ps_services *services, const ps_caller *caller,
                          const ProtobufCMessage *request, ProtobufCMessage **reply)
{
    const Psd__V1__DescribeRequest *in = (const Psd__V1__DescribeRequest *)request;
    Psd__V1__DescribeResponse *out =
        PS_REPLY_NEW(Psd__V1__DescribeResponse, psd__v1__describe_response);
    *reply = &out->base;
    if (*in->model && in->job_id && caller->identity.role != PS_ROLE_WORKER)
        return ps_fail(PS_INVALID_ARGUMENT, "job_id or model, not both");
    if (*in->model)
        return describe_model(services, caller, in, out);
    ps_run *run = NULL;
    ps_status st = ps_services_find_run(services, &caller->identity, in->job_id, &run);
    if (st)
        return st;
    describe_run(ps_run_store(run), out);
    ps_run_unref(&run);
    return PS_OK;
}

const ps_unary_method ps_parameters_unary[] = {
    {"/psd.v1.Parameters/Describe", &psd__v1__describe_request__descriptor,
     &psd__v1__describe_response__descriptor, describe},
    {0},
};

const ps_rpc_method ps_parameters_calls[] = {
    {.name = "Pull", .request = &psd__v1__pull_request__descriptor, .unary = ps_parameters_pull},
    {.name = "Push", .request = &psd__v1__push_request__descriptor, .stream = ps_parameters_push},
    {.name = "Clock", .request = &psd__v1__clock_request__descriptor, .unary = ps_parameters_clock},
    {0},
};
