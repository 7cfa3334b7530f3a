/* A job file out of any bytes: refused in printable lines, one a fault, or a job whose model
 * section reads back as itself. */
#include "common/conf/job_spec.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_model(const ps_spec_model *model)
{
    ps_buf once = PS_BUF_EMPTY, twice = PS_BUF_EMPTY;
    ps_spec_model *again = NULL;
    ps_spec_model_format(model, &once);
    if (ps_spec_model_parse(ps_buf_slice(&once), "model", &again) != PS_OK)
        abort();
    ps_spec_model_format(again, &twice);
    if (once.len != twice.len || memcmp(once.data, twice.data, once.len) != 0)
        abort();
    ps_spec_model_free(&again);
    ps_buf_free(&once);
    ps_buf_free(&twice);
}

/* A plan that finds nothing new settles the section as it is, unless the job asks for more. */
static void check_settled(ps_job_spec *spec)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_spec_model_format(spec->model, &text);
    ps_status enough = ps_job_spec_check_inputs(spec, spec->model);
    if ((ps_job_spec_settle(spec, ps_buf_slice(&text)) == PS_OK) != (enough == PS_OK))
        abort();
    ps_buf_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ps_job_spec *spec = NULL;
    if (ps_job_spec_parse(ps_slice_of(data, size), "job.yaml", &spec) != PS_OK) {
        for (const char *c = ps_error_message(); *c; c++)
            if (((unsigned char)*c < 0x20 && *c != '\n') || *c == 0x7f)
                abort();
        return 0;
    }
    if (ps_job_spec_kind(spec)->trains != (spec->model != NULL) || !ps_job_spec_name_ok(spec->name))
        abort();
    if (spec->model) {
        check_model(spec->model);
        check_settled(spec);
    }
    ps_job_spec_free(&spec);
    return 0;
}
