/* What psctl inspect says of a model: what its files say (model_look.h), and what import makes of
 * them (model_in.h): that is asked for its verdict, up to the first byte of weights. */
#include "client/commands/inspect.h"

#include "common/base/mem.h"
#include "common/model/hf_shards.h"
#include "common/model/model_files.h"
#include "common/model/model_format.h"
#include "common/tokenizer/tokenizer.h"

#include <inttypes.h>
#include <string.h>

static void add_types(ps_inspection *of, const ps_model_look *look)
{
    ps_buf json = PS_BUF_EMPTY, text = PS_BUF_EMPTY;
    ps_json_writer w = ps_json_writer_to(&json);
    ps_json_array(&w);
    for (size_t i = 0; i < look->n_types; i++) {
        const ps_model_look_type *t = &look->types[i];
        ps_json_object(&w);
        ps_json_put_string(&w, "type", t->name);
        ps_json_put_uint(&w, "tensors", t->tensors);
        ps_json_put_uint(&w, "numbers", t->numbers);
        ps_json_put_uint(&w, "bytes", t->bytes);
        ps_json_object_end(&w);
        ps_buf_printf(&text, "%s%s (%" PRIu64 " tensor%s)", i ? ", " : "", t->name, t->tensors,
                      t->tensors == 1 ? "" : "s");
    }
    ps_json_array_end(&w);
    ps_facts_value(&of->facts, "types", "stored as", ps_buf_cstr(&json), ps_buf_cstr(&text));
    ps_buf_free(&json);
    ps_buf_free(&text);
}

/* whole: nothing kept the look from its end. */
static void add_look(ps_inspection *of, const ps_model_look *look, bool whole)
{
    ps_facts *f = &of->facts;
    ps_facts_text(f, "model_name", "called", ps_buf_slice(&look->name));
    ps_facts_text(f, "license", "license", ps_buf_slice(&look->license));
    ps_facts_text(f, "architecture", "architecture", ps_buf_slice(&look->architecture));
    ps_facts_text(f, "quantized_by", "quantized by", ps_buf_slice(&look->quantized));
    ps_facts_bytes(f, "bytes", "size", look->bytes);
    ps_facts_count(f, "files", look->files > 1 ? "files" : NULL, look->files);
    ps_facts_count(f, "tensors", "tensors", look->tensors);
    ps_facts_count(f, "numbers", look->quantized.len ? NULL : "numbers", look->numbers);
    if (look->n_types)
        add_types(of, look);
    ps_facts_count(f, "context_length", "context", look->context);
    ps_facts_count(f, "vocab_size", "vocabulary", look->vocabulary);
    ps_facts_text(f, "tokenizer", "tokenizer", ps_buf_slice(&look->tokenizer));
    if (whole || look->chat_template)
        ps_facts_truth(f, "chat_template", "chat template", look->chat_template);
}

static void add_ids(ps_inspection *of, const ps_token_ids *ids)
{
    static const char *const roles[PS_TOKEN_ROLES] = {"begin", "end", "fill"};
    ps_buf json = PS_BUF_EMPTY, text = PS_BUF_EMPTY;
    if (!ps_token_ids_any(ids))
        return;
    ps_json_writer w = ps_json_writer_to(&json);
    ps_json_object(&w);
    ps_token_ids_put(&w, ids);
    ps_json_object_end(&w);
    for (size_t role = 0; role < PS_TOKEN_ROLES; role++)
        for (size_t i = 0; i < ids->of[role].n; i++)
            ps_buf_printf(&text, "%s%s%s%" PRId64, text.len ? ", " : "", i ? "" : roles[role],
                          i ? "" : " ", ids->of[role].at[i]);
    ps_facts_value(&of->facts, "token_ids", "token ids", ps_buf_cstr(&json), ps_buf_cstr(&text));
    ps_buf_free(&json);
    ps_buf_free(&text);
}

/* What psd would have of it. */
static void add_model(ps_inspection *of, const ps_spec_model *model, bool tokenizer,
                      const ps_token_ids *ids)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_spec_model_format(model, &text);
    const char *kept = tokenizer ? "kept, but not used" : "none";
    add_ids(of, ids);
    if (ps_spec_model_reads_tokens(model))
        ps_facts_text(&of->facts, "psd_tokenizer", "tokenizer in psd",
                      ps_slice_str(*model->tokenizer ? model->tokenizer : kept));
    ps_facts_text(&of->facts, "config", "model in psd", ps_buf_slice(&text));
    ps_buf_free(&text);
}

/* Of psd's own file, which is looked at by its header alone. */
static void add_own_hash(ps_inspection *of, ps_slice json)
{
    ps_tokenizer *t = NULL;
    if (!json.len || ps_tokenizer_from_json(json, &t)) /* what is wrong with it is a remark */
        return;
    ps_inspect_tokenizer_hash(of, ps_tokenizer_hash(t));
    ps_tokenizer_free(&t);
}

static uint64_t parameters_of(const ps_model_in_about *about)
{
    uint64_t n = 0;
    for (size_t i = 0; i < about->n; i++)
        n += ps_lm_numbers(&about->tensors[i]);
    return n;
}

/* knows: its files say which model it is. */
static void add_use(ps_inspection *of, bool knows)
{
    const char *identity = of->identity ? "--identity FILE " : "";
    char *folder = knows ? NULL : ps_model_source_folder(&of->source);
    if (folder)
        ps_buf_printf(&of->use,
                      "psctl import %s%s NAME, the folder, whose config.json says what these "
                      "weights are of",
                      identity, folder);
    else
        ps_buf_printf(&of->use, "psctl import %s%s NAME%s", identity, of->given,
                      knows ? "" : " --model CONFIG");
    ps_free(&folder);
}

static ps_status describe_other(ps_inspection *of)
{
    ps_model_in *in = NULL;
    const ps_model_in_options options = {.disk = of->source.disk};
    ps_status st = ps_model_in_open(of->source.path, &options, &in);
    if (st)
        return st;
    const ps_model_in_about *about = ps_model_in_about_of(in);
    if (about->model) {
        ps_facts_count(&of->facts, "parameters", "parameters", parameters_of(about));
        add_model(of, about->model, about->tokenizer.len > 0, &about->ids);
        ps_inspect_tokenizer_hash(of, about->tokenizer_hash);
    }
    ps_buf_puts(&of->remarks, ps_model_in_remarks(in));
    add_use(of, ps_model_in_knows_model(in));
    ps_model_in_close(&in);
    return PS_OK;
}

/* What psd takes as it is: what it will look at, and what it says of itself. */
static ps_status describe_own(ps_inspection *of)
{
    ps_hf_shards one;
    ps_spec_model *model = NULL;
    ps_model_form *stored = NULL;
    ps_token_ids ids = {0};
    ps_status st = ps_hf_shards_open_file(of->source.disk, of->source.path, &one);
    if (!st)
        st = ps_model_forms_parse(one.at[0].header, &stored);
    const char *config =
        st ? NULL : ps_safetensors_metadata(one.at[0].header, PS_MODEL_META_CONFIG);
    if (config)
        st = ps_spec_model_parse(ps_slice_str(config), PS_MODEL_META_CONFIG, &model);
    if (!st && model) {
        of->kind = "psd";
        ps_token_ids_of_file(one.at[0].header, &ids);
        const char *its = ps_safetensors_metadata(one.at[0].header, PS_MODEL_META_TOKENIZER);
        add_model(of, model, its != NULL, &ids);
        add_own_hash(of, ps_slice_str(its ? its : ""));
    }
    if (!st)
        add_use(of, model != NULL);
    if (model)
        ps_spec_model_free(&model);
    ps_free(&stored);
    ps_hf_shards_clear(&one);
    return st ? ps_wrap(st, "%s", of->source.path) : PS_OK;
}

/* A folder without a config is none of a model, and the failure says what it is instead. */
ps_status ps_inspect_model(ps_inspection *of)
{
    const ps_model_format *format = NULL;
    ps_model_look look = {.disk = of->source.disk};
    ps_status st = ps_model_format_of(of->source.disk, of->source.path, &format);
    if (st == PS_INVALID_ARGUMENT || st == PS_CORRUPT ||
        (!st && of->folder && !ps_inspect_has(of, "config.json")))
        of->kind = "other"; /* the failure says what it is */
    if (st)
        return st;
    if (!of->kind) {
        st = ps_model_look_at(of->source.path, &look);
        if (!st && !look.tensors && look.tokenizer.len) { /* GGUF with a vocabulary alone */
            ps_model_look_free(&look);
            of->kind = "tokenizer";
            return ps_inspect_tokenizer(of);
        }
        const ps_model_format *what = format ? format : ps_model_format_find(NULL); /* psd's own */
        of->kind = what->name;
        ps_inspect_is(of, what->is);
        add_look(of, &look, st == PS_OK);
        ps_model_look_free(&look);
    }
    /* Where the look failed import does, too; its reason is the one that counts. */
    ps_status verdict = format ? describe_other(of) : describe_own(of);
    return verdict ? verdict : st;
}
