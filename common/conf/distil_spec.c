/* Happy path: the student is known when the file has it or begins from a stored one, and its family
 * and sizes are the teacher's. Each thing that is in the way is a line of its own kind. */
#include "common/conf/distil_spec.h"

#include "common/conf/job_spec.h"

#include <inttypes.h>
#include <string.h>

static const char *const loss_words[] = {"kl", "reverse_kl", "jsd", "hidden", NULL};

const ps_conf_key ps_spec_distil_keys[] = {
    PS_CONF_TEXT("teacher", ps_spec_distil, teacher, "", 0, 64),
    PS_CONF_WORD("loss", ps_spec_distil, loss, "kl", loss_words),
    PS_CONF_REAL("temperature", ps_spec_distil, temperature, "1", 0.01, 100),
    PS_CONF_REAL("alpha", ps_spec_distil, alpha, "0.5", 0, 1),
    PS_CONF_INT("top_k", ps_spec_distil, top_k, "0", 0, 1 << 24),
    PS_CONF_REAL("on_policy", ps_spec_distil, on_policy, "0", 0, 1),
    PS_CONF_INTS("student_layers", ps_spec_distil, student_layers, "[]", 0, 256, 1, 1024),
    PS_CONF_INTS("teacher_layers", ps_spec_distil, teacher_layers, "[]", 0, 256, 1, 1024),
    PS_CONF_END,
};

const char *ps_job_spec_teacher(const ps_job_spec *spec)
{
    if (spec->compare)
        return spec->compare->model;
    if (spec->explain)
        return ps_spec_explain_second(spec->explain);
    if (spec->data.activations)
        return spec->data.activations->model;
    if (!spec->distil)
        return "";
    return *spec->distil->teacher ? spec->distil->teacher : spec->model_name;
}

/* A key that would be without effect is refused. */
static ps_status check_keys(const ps_spec_distil *d, const ps_conf_doc *doc)
{
    static const char *const answers[] = {"distil.temperature", "distil.top_k", "distil.on_policy"},
                             *const layers[] = {"distil.student_layers", "distil.teacher_layers"};
    bool hidden = d->loss == PS_DISTIL_HIDDEN;
    for (size_t i = 0; hidden && i < sizeof answers / sizeof *answers; i++)
        if (ps_conf_has(doc, answers[i]))
            return ps_conf_fail(doc, answers[i], "not for loss hidden: it compares no answers");
    for (size_t i = 0; i < 2; i++) {
        if (!hidden && ps_conf_has(doc, layers[i]))
            return ps_conf_fail(doc, layers[i], "only for loss hidden");
    }
    if (hidden && (!d->n_student_layers || d->n_student_layers != d->n_teacher_layers))
        return ps_conf_fail(doc, "distil.student_layers",
                            "%zu, and %zu teacher_layers; loss hidden compares as many, at least "
                            "one",
                            d->n_student_layers, d->n_teacher_layers);
    return PS_OK;
}

ps_status ps_spec_distil_check(const ps_job_spec *spec, const ps_conf_doc *doc)
{
    if (!spec->distil)
        return PS_OK;
    const char *teacher = ps_job_spec_teacher(spec);
    if (spec->data.activations)
        return ps_conf_fail(doc, "distil", "not with data.format activations");
    if (!*teacher)
        return ps_conf_fail(doc, "distil.teacher", "missing; a stored model's name");
    if (!ps_job_spec_name_ok(teacher))
        return ps_conf_fail(doc, "distil.teacher",
                            "'%s' is not a name; allowed: 1 to 64 of a-z 0-9 . _ -, "
                            "first a letter or a digit",
                            teacher);
    if (spec->model && spec->model->loss != PS_SPEC_CROSS_ENTROPY)
        return ps_conf_fail(doc, "distil", "only with model.loss cross_entropy");
    if (spec->distil->loss == PS_DISTIL_HIDDEN && spec->train &&
        spec->train->precision == PS_SPEC_BF16)
        return ps_conf_fail(doc, "distil.loss", "hidden is not for train.precision bf16");
    ps_status st = check_keys(spec->distil, doc);
    if (!st && spec->distil->on_policy > 0 && strcmp(spec->data.format, "tokens") != 0)
        st = ps_conf_fail(doc, "distil.on_policy", "only for language models");
    return st;
}

/* ---- teacher and student ---- */

static ps_status match_layers(const ps_spec_model *student, const ps_spec_model *teacher)
{
    size_t own = student->n_layers, its = teacher->n_layers;
    if (teacher->loss != PS_SPEC_CROSS_ENTROPY)
        return ps_fail(PS_INVALID_ARGUMENT, "its loss is not cross_entropy");
    if (ps_spec_model_inputs(student) != ps_spec_model_inputs(teacher))
        return ps_fail(PS_INVALID_ARGUMENT, "it has %" PRId64 " inputs, and the student %" PRId64,
                       ps_spec_model_inputs(teacher), ps_spec_model_inputs(student));
    if (student->layers[own - 1] != teacher->layers[its - 1])
        return ps_fail(PS_INVALID_ARGUMENT, "it has %" PRId64 " classes, and the student %" PRId64,
                       teacher->layers[its - 1], student->layers[own - 1]);
    for (size_t i = 0; i < student->n_classes && i < teacher->n_classes; i++)
        if (strcmp(student->classes[i], teacher->classes[i]) != 0)
            return ps_fail(PS_INVALID_ARGUMENT, "its class %zu is '%s', and the student's '%s'", i,
                           teacher->classes[i], student->classes[i]);
    return PS_OK;
}

static ps_status match_language(const ps_job_spec *spec, const ps_spec_model *teacher)
{
    const ps_spec_model *student = spec->model;
    const char *own = student->tokenizer, *its = teacher->tokenizer;
    bool same = !strcmp(own, its), said = *own && *its;
    if (said && !same)
        return ps_fail(PS_INVALID_ARGUMENT, "its tokenizer is %s, and the student's %s", its, own);
    if (teacher->vocab_size != student->vocab_size && !(said && same))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "its vocabulary has %" PRId64 " tokens, and the student's %" PRId64
                       "; they may differ where both say one tokenizer",
                       teacher->vocab_size, student->vocab_size);
    int64_t length =
        spec->data.sequence_length ? spec->data.sequence_length : student->context_length;
    if (length > teacher->context_length)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "its context_length is %" PRId64 ", and rows have %" PRId64
                       " tokens; set data.sequence_length",
                       teacher->context_length, length);
    return PS_OK;
}

/* How wide hidden layer `layer` is; 0: there is none. */
static int64_t width_of(const ps_spec_model *model, int64_t layer)
{
    if (ps_spec_model_is_language(model))
        return layer <= model->num_layers ? model->hidden_size : 0;
    return (size_t)layer < ps_spec_model_linears(model) ? ps_spec_model_width(model, (size_t)layer)
                                                        : 0;
}

static ps_status match_hidden(const ps_job_spec *spec, const ps_spec_model *teacher)
{
    const ps_spec_distil *d = spec->distil;
    for (size_t i = 0; d->loss == PS_DISTIL_HIDDEN && i < d->n_student_layers; i++) {
        int64_t own = width_of(spec->model, d->student_layers[i]);
        int64_t its = width_of(teacher, d->teacher_layers[i]);
        if (!own || !its)
            return ps_fail(PS_INVALID_ARGUMENT, "%s has no hidden layer %" PRId64,
                           own ? "it" : "the student",
                           own ? d->teacher_layers[i] : d->student_layers[i]);
        if (own != its)
            return ps_fail(PS_INVALID_ARGUMENT,
                           "its layer %" PRId64 " is %" PRId64 " wide, and the student's layer "
                           "%" PRId64 " %" PRId64 "; loss hidden compares equal widths",
                           d->teacher_layers[i], its, d->student_layers[i], own);
    }
    return PS_OK;
}

static bool same_numbers(const double *a, size_t n_a, const double *b, size_t n_b)
{
    bool same = n_a == n_b;
    for (size_t i = 0; same && i < n_a; i++)
        same = a[i] == b[i];
    return same;
}

/* The teacher is given the student's rows as they are. */
static ps_status match_inputs(const ps_spec_model *student, const ps_spec_model *teacher)
{
    const ps_spec_model *s = student, *t = teacher;
    if (!same_numbers(s->input_mean, s->n_input_mean, t->input_mean, t->n_input_mean))
        return ps_fail(PS_INVALID_ARGUMENT, "its input_mean is not the student's; both must be "
                                            "made from the same training data");
    if (!same_numbers(s->input_std, s->n_input_std, t->input_std, t->n_input_std))
        return ps_fail(PS_INVALID_ARGUMENT, "its input_std is not the student's; both must be "
                                            "made from the same training data");
    if (s->input_missing != t->input_missing)
        return ps_fail(PS_INVALID_ARGUMENT, "its input_missing is not the student's");
    return PS_OK;
}

static ps_status match(const ps_job_spec *spec, const ps_spec_model *teacher, bool settled)
{
    bool tokens = ps_spec_model_is_language(spec->model), lens = ps_spec_model_is_lens(teacher);
    bool texts = ps_spec_model_is_encoder(spec->model) || ps_spec_model_is_encoder(teacher);
    if (texts)
        return ps_fail(PS_INVALID_ARGUMENT, "models of architecture %s learn from labels alone",
                       ps_spec_model_is_encoder(teacher) ? teacher->architecture
                                                         : spec->model->architecture);
    if (lens || tokens != ps_spec_model_is_language(teacher))
        return ps_fail(PS_INVALID_ARGUMENT,
                       "it is of architecture %s, which does not read what %s "
                       "does",
                       teacher->architecture, spec->model->architecture);
    ps_status st = tokens ? match_language(spec, teacher) : match_layers(spec->model, teacher);
    if (!st)
        st = match_hidden(spec, teacher);
    return !st && settled ? match_inputs(spec->model, teacher) : st;
}

ps_status ps_spec_distil_match(const ps_job_spec *spec, const ps_spec_model *teacher, bool settled)
{
    if (!spec->distil || !spec->model)
        return PS_OK;
    ps_status st = match(spec, teacher, settled);
    return st ? ps_wrap(st, "teacher %s", spec->distil->teacher) : PS_OK;
}
