/* Happy path: the base is looked up, the adapter's two parts are read by what the base is, both are
 * merged into a file of their own, and that is adopted as an import is. A failure leaves nothing of
 * it. */
#include "server/files/adapter_in.h"

#include "common/base/mem.h"
#include "common/loop/loop.h"
#include "common/model/peft.h"
#include "server/files/model_file.h"
#include "server/files/model_header.h"
#include "server/files/model_merge.h"

typedef struct adapter {
    ps_model_header header;
    ps_peft_pair *pairs;
    size_t n;
} adapter;

static ps_status read_base(const ps_stored_files *files, const char *name, ps_model_record **base,
                           ps_spec_model **model)
{
    ps_status st = ps_catalog_model_get(files->catalog, name, base);
    if (!st)
        st = ps_spec_model_parse(ps_slice_str((*base)->config), "its config", model);
    if (!st && !ps_spec_model_reads_tokens(*model))
        st = ps_fail(PS_FAILED_PRECONDITION,
                     "it is of architecture %s; adapters are read for models that read tokens",
                     (*model)->architecture);
    return st ? ps_wrap(st, "model %s", name) : PS_OK;
}

static ps_status read_adapter(const ps_stored_files *files, const ps_adapter_in *in,
                              const ps_spec_model *model, int file, adapter *out)
{
    ps_status st = ps_model_header_read(files->disk, file, &out->header);
    if (st) /* what is wrong with it is wrong with the request */
        return st == PS_CORRUPT ? ps_wrap(PS_INVALID_ARGUMENT, PS_PEFT_FILE) : st;
    st = ps_peft_read(model, ps_slice_str(in->config), out->header.file, &out->pairs, &out->n);
    return st ? ps_wrap(st, "beside model %s", in->base) : PS_OK;
}

static ps_status adopt_merged(const ps_stored_files *files, const ps_adapter_in *in,
                              const ps_model_record *base, ps_model_merge *merge,
                              ps_model_record **out)
{
    const ps_lineage_from from = {.base = base->name, .base_version = base->path};
    ps_stored_place place = ps_model_place(in->name);
    ps_status st = ps_model_file_write(files, &place, merge, base->config);
    if (!st) {
        st = ps_model_file_adopt(files, &place, in->name, base->config, in->owner, in->replaces,
                                 &from, out);
        if (st)
            ps_stored_file_remove(files, place.incoming);
    }
    ps_stored_place_free(&place);
    return st;
}

static ps_status add(const ps_stored_files *files, const ps_adapter_in *in,
                     const ps_model_record *base, const ps_spec_model *model, int file,
                     ps_model_record **out)
{
    adapter a = {0};
    ps_model_merge *merge = NULL;
    ps_status st = read_adapter(files, in, model, file, &a);
    const ps_model_adapter of = {.base = base->name,
                                 .version = base->path,
                                 .file = file,
                                 .header = &a.header,
                                 .pairs = a.pairs,
                                 .n = a.n};
    if (!st)
        st = ps_model_merge_open_adapter(files, &of, &merge);
    if (!st)
        st = adopt_merged(files, in, base, merge, out);
    ps_model_merge_close(&merge);
    ps_model_header_free(&a.header);
    ps_free(&a.pairs);
    return st;
}

ps_status ps_adapter_in_adopt(const ps_stored_files *files, const ps_stored_place *place,
                              const ps_adapter_in *in, ps_model_record **out)
{
    ps_loop_require_off();
    ps_model_record *base = NULL;
    ps_spec_model *model = NULL;
    int file;
    ps_status st = read_base(files, in->base, &base, &model);
    if (!st)
        st = ps_stored_file_open(files, place->incoming, &file);
    if (!st) {
        st = add(files, in, base, model, file, out);
        files->disk->close(files->disk->state, file);
    }
    ps_stored_file_remove(files, place->incoming);
    ps_model_record_free(&base);
    if (model)
        ps_spec_model_free(&model);
    return st;
}
