/* Happy path: its configuration fits the student's, its file holds what that says, its tokenizer is
 * the one of the student's; then it is loaded as any stored model is. */
#include "worker/job/teacher.h"

#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/one_thread.h"
#include "common/base/require.h"
#include "worker/job/stored_model.h"
#include "worker/job/stored_tokenizer.h"

#include <inttypes.h>
#include <string.h>

struct ps_teacher {
    ps_one_thread mine;
    ps_spec_model *spec;
    ps_model *model;
    ps_model_teaching teaching;
    bool checked;
    ps_form *forms; /* that the file has its parameters in; NULL: float32 */
};

ps_status ps_teacher_create(const ps_task_run *run, ps_teacher **out)
{
    ps_teacher *t = ps_new(ps_teacher);
    ps_status st =
        ps_spec_model_parse(ps_slice_str(run->task->teacher_config), "teacher", &t->spec);
    if (st)
        ps_free(&t);
    else
        *out = t;
    return st;
}

void ps_teacher_free(ps_teacher **teacher)
{
    if (!*teacher)
        return;
    ps_model_free(&(*teacher)->model);
    ps_spec_model_free(&(*teacher)->spec);
    ps_free(&(*teacher)->forms);
    ps_free(teacher);
}

const ps_job_model_need *ps_teacher_need(const ps_teacher *t, const ps_job_spec *spec,
                                         ps_teacher_room *room)
{
    if (!t)
        return NULL;
    PS_REQUIRE(t->checked); /* its forms are known */
    room->config = ps_job_model_config(t->spec);
    room->options = (ps_model_options){.inference = true, .forms = t->forms};
    room->need = (ps_job_model_need){
        .name = ps_job_spec_teacher(spec), .config = &room->config, .options = &room->options};
    return &room->need;
}

bool ps_teacher_failed(const ps_teacher *t)
{
    return t->model && ps_stream_failed(ps_model_stream(t->model));
}

static ps_stored_model stored(const ps_task_run *run, const ps_job_spec *spec)
{
    return (ps_stored_model){.name = ps_job_spec_teacher(spec),
                             .version = run->task->teacher_version,
                             .job_id = run->task->job_id};
}

/* ---- tokenizers ---- */

/* Two that both name it may still mean two: of a student that begins from a stored model its own
 * is known. */
static ps_status compare_tokenizers(ps_task_run *run, const ps_job_spec *spec,
                                    const ps_stored_model *teacher)
{
    uint64_t its = 0, own = 0;
    const ps_stored_model origin = {.name = spec->initialize_from,
                                    .version = run->task->model_version,
                                    .job_id = run->task->job_id};
    if (!*spec->initialize_from || !ps_spec_model_is_language(spec->model))
        return PS_OK;
    ps_status st = ps_stored_tokenizer(run->remote, teacher, &its);
    if (!st)
        st = ps_stored_tokenizer(run->remote, &origin, &own);
    if (st || !its || !own || its == own)
        return st;
    return ps_fail(PS_INVALID_ARGUMENT,
                   "teacher %s: its tokenizer is not that of model %s, which the job begins from",
                   teacher->name, origin.name);
}

/* ---- the model ---- */

ps_status ps_teacher_check(ps_teacher *t, ps_task_run *run, const ps_job_spec *spec)
{
    ps_one_thread_require(&t->mine);
    if (t->checked)
        return PS_OK;
    const ps_stored_model which = stored(run, spec);
    ps_model_config config = ps_job_model_config(t->spec);
    ps_free(&t->forms);
    ps_status st = ps_spec_distil_match(spec, t->spec, true);
    if (!st)
        st = ps_stored_model_check(run->remote, &which, &config, &t->forms);
    if (!st)
        st = compare_tokenizers(run, spec, &which);
    t->checked = !st;
    return st;
}

static ps_status load(ps_teacher *t, ps_task_run *run, const ps_job_spec *spec,
                      const ps_model_options *options)
{
    const ps_stored_model which = stored(run, spec);
    ps_model_config config = ps_job_model_config(t->spec);
    ps_model_options own = *options;
    own.inference = true;
    own.recompute = false;
    own.forms = t->forms;
    own.keep = spec->distil->teacher_layers;
    own.n_keep = spec->distil->n_teacher_layers;
    if (!own.max_length && ps_spec_model_is_language(t->spec))
        own.max_length = spec->model->context_length; /* of the student's longest row */
    ps_status st = ps_model_create(run->env->backend, &config, &own, &t->model);
    if (st)
        return ps_wrap(st, "teacher %s", which.name);
    st = ps_stored_model_load(run->remote, &which, t->forms, t->model);
    if (st)
        ps_model_free(&t->model);
    else
        ps_log_info("task", "job=%" PRIu64 " teacher=%s version=%s bytes=%" PRIu64,
                    run->task->job_id, which.name, which.version, ps_model_memory(t->model));
    return st;
}

ps_status ps_teacher_get(ps_teacher *t, ps_task_run *run, const ps_job_spec *spec,
                         const ps_model_options *options, const ps_model_teaching **out)
{
    static const ps_divergence kinds[] = {[PS_DISTIL_KL] = PS_DIVERGENCE_KL,
                                          [PS_DISTIL_REVERSE_KL] = PS_DIVERGENCE_REVERSE_KL,
                                          [PS_DISTIL_JSD] = PS_DIVERGENCE_JSD,
                                          [PS_DISTIL_HIDDEN] = PS_DIVERGENCE_KL /* unused */};
    ps_status st = ps_teacher_check(t, run, spec);
    if (!st && !t->model)
        st = load(t, run, spec, options);
    if (st)
        return st;
    const ps_spec_distil *how = spec->distil;
    t->teaching = (ps_model_teaching){.teacher = t->model,
                                      .kind = kinds[how->loss],
                                      .temperature = how->temperature,
                                      .alpha = how->alpha,
                                      .top_k = how->top_k,
                                      .n_hidden = how->n_student_layers,
                                      .of_student = how->student_layers,
                                      .of_teacher = how->teacher_layers};
    *out = &t->teaching;
    return PS_OK;
}
