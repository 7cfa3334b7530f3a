/* What psctl inspect says of an adapter as Hugging Face's PEFT keeps it: its folder, or one of the
 * two files in it. Whether it fits a model only psd says, beside that one. */
#include "client/commands/inspect.h"

#include "common/base/mem.h"
#include "common/model/peft.h"

/* What is wrong with the path is the next rows' to say. */
static bool is_adapter(const ps_inspection *of)
{
    char *folder = NULL;
    bool is = !ps_peft_find(of->source.disk, of->source.path, &folder) && folder;
    ps_free(&folder);
    return is;
}

static void add_number(ps_inspection *of, const char *key, double n, bool several)
{
    ps_buf json = PS_BUF_EMPTY, text = PS_BUF_EMPTY;
    ps_buf_printf(&json, "%.17g", n);
    ps_buf_printf(&text, "%g%s", n, several ? ", modules have their own" : "");
    if (n > 0)
        ps_facts_value(&of->facts, key, key, ps_buf_cstr(&json), ps_buf_cstr(&text));
    ps_buf_free(&json);
    ps_buf_free(&text);
}

static void add_about(ps_inspection *of, const ps_peft_about *about)
{
    ps_facts_text(&of->facts, "base_model", "for", ps_buf_slice(&about->base));
    add_number(of, "rank", about->rank, about->ranks);
    add_number(of, "alpha", about->alpha, about->alphas);
    if (about->rslora)
        ps_facts_truth(&of->facts, "rslora", "rslora", true);
    ps_facts_text(&of->facts, "targets", "targets", ps_buf_slice(&about->targets));
    ps_facts_count(&of->facts, "adapters", "adapters", about->adapters);
    ps_facts_count(&of->facts, "numbers", "numbers", about->numbers);
    ps_facts_bytes(&of->facts, "bytes", "size", about->bytes);
}

static ps_status describe_adapter(ps_inspection *of)
{
    ps_peft_about about;
    char *folder = NULL;
    ps_inspect_is(of, "an adapter (LoRA) of PEFT");
    ps_status st = ps_peft_find(of->source.disk, of->source.path, &folder);
    if (st)
        return st;
    st = ps_peft_look(of->source.disk, folder, &about);
    add_about(of, &about);
    ps_buf_printf(&of->use,
                  "psctl import --base MODEL %s NAME, MODEL being the stored one that it is for",
                  folder);
    ps_peft_about_free(&about);
    ps_free(&folder);
    return st;
}

const ps_inspect_kind ps_inspect_adapters[] = {
    {"adapter", is_adapter, describe_adapter},
    {NULL, NULL, NULL},
};
