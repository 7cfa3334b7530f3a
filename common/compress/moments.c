/* {"optimizer":"adamw","rows":16,"sequence_length":128,"model":"NAME"}: a sequence_length of 0, or
 * none, is the model's context. Fails where rows are none. */
#include "common/compress/moments.h"

#include "common/json/json.h"

#include <math.h>
#include <string.h>

typedef struct about {
    double rows, sequence_length;
} about;

static ps_status read_about(ps_slice json, about *out)
{
    ps_json_reader r;
    ps_json_token t;
    ps_json_reader_init(&r, json);
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &t);
    while (ps_json_member(&r, &t, &st)) {
        const char *key = (const char *)t.text.data;
        double *to = !strcmp(key, "rows")              ? &out->rows
                     : !strcmp(key, "sequence_length") ? &out->sequence_length
                                                       : NULL;
        st = to ? ps_json_expect(&r, PS_JSON_NUMBER, &t) : ps_json_skip(&r);
        if (!st && to)
            *to = t.number;
    }
    ps_json_reader_free(&r);
    return st;
}

ps_status ps_moments_examples(const ps_safetensors *file, const ps_spec_model *model, double *out)
{
    about a = {0};
    const char *json = ps_safetensors_metadata(file, PS_MOMENTS_META);
    ps_status st = json ? read_about(ps_slice_str(json), &a) : PS_OK;
    if (st)
        return ps_wrap(st, "moments");
    if (!(a.rows >= 1 && a.rows < 1e12) || !(a.sequence_length >= 0 && a.sequence_length < 1e12))
        return ps_fail(PS_CORRUPT, "moments: they do not say of how many rows a gradient was");
    double tokens = a.sequence_length > 0 ? a.sequence_length : (double)model->context_length;
    *out = a.rows * (ps_spec_model_is_language(model) ? tokens : 1);
    return PS_OK;
}
