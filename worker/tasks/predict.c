/* predict: what the model says of rows of the test data, one line of JSON a row, left with the job
 * as the artifact predictions.jsonl:
 *
 *     {"row":0,"class":9,"probabilities":[0.001,…]}      cross_entropy; with model.classes also
 *                                                        "label":"boot"
 *     {"row":0,"outputs":[0.25]}                         squared_error
 *
 * A number that is not finite is null, and so is the class of a row that has one. The lines leave
 * when all are there: a task that was lost has left none, and begins anew elsewhere.
 */
#include "common/base/mem.h"
#include "common/json/json.h"
#include "worker/tasks/artifact.h"
#include "worker/tasks/pass.h"
#include "worker/tasks/task_kind.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

typedef struct predicting {
    ps_spool lines;
    float *outputs; /* [batch, outputs] */
} predicting;

static void write_class(ps_json_writer *json, const float *outputs, size_t n, char *const *names)
{
    size_t best = 0;
    bool finite = true;
    for (size_t i = 0; i < n; i++) {
        finite &= isfinite(outputs[i]);
        if (outputs[i] > outputs[best])
            best = i;
    }
    ps_json_key(json, "class");
    if (finite)
        ps_json_uint(json, best);
    else
        ps_json_null(json);
    if (finite && names)
        ps_json_put_string(json, "label", names[best]);
}

static void write_row(ps_buf *lines, uint64_t row, const float *outputs, size_t n,
                      const ps_spec_model *model)
{
    bool classes = model->loss == PS_SPEC_CROSS_ENTROPY;
    ps_json_writer json = ps_json_writer_to(lines);
    ps_json_object(&json);
    ps_json_put_uint(&json, "row", row);
    if (classes)
        write_class(&json, outputs, n, model->classes);
    ps_json_key(&json, classes ? "probabilities" : "outputs");
    ps_json_array(&json);
    for (size_t i = 0; i < n; i++)
        ps_json_float(&json, outputs[i]);
    ps_json_array_end(&json);
    ps_json_object_end(&json);
    ps_buf_putc(lines, '\n');
}

static ps_status predict_batch(void *user, const ps_pass *pass, const ps_batch *batch)
{
    predicting *p = user;
    ps_model_batch input = ps_pass_model_batch(batch);
    ps_status st = ps_model_predict(pass->model, &input, NULL, p->outputs);
    if (st)
        return st;
    size_t n = (size_t)ps_model_outputs(pass->model);
    const ps_spec_model *model = ps_job_entry_model_spec(pass->entry);
    for (size_t i = 0; !st && i < batch->rows; i++) {
        write_row(&p->lines.pending, batch->first + i, p->outputs + i * n, n, model);
        st = ps_spool_step(&p->lines);
    }
    return st ? ps_wrap(st, "predictions") : PS_OK;
}

static ps_status run_task(ps_task_run *run, Psd__V1__TaskResult *result)
{
    ps_pass pass;
    ps_status st = ps_pass_open(run, &pass);
    if (st)
        return st;
    size_t n = ps_job_entry_batch(pass.entry) * (size_t)ps_model_outputs(pass.model);
    predicting p = {.lines = PS_SPOOL(&ps_disk_system),
                    .outputs = ps_try_alloc_raw(n * sizeof(float))};
    if (!p.outputs)
        return ps_fail(PS_NO_MEMORY, "%zu predicted numbers", n);
    st = ps_pass_run(&pass, predict_batch, &p);
    if (!st)
        st = ps_artifact_leave(run, "predictions.jsonl", &p.lines, result);
    ps_spool_free(&p.lines);
    ps_free(&p.outputs);
    return st;
}

const ps_worker_kind ps_worker_kind_predict = {.name = "predict", .run = run_task};
