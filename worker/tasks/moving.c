/* Happy path: the influence of all layers is pulled, those that stay are counted to the tensor's
 * own place. Fails with what pulling fails with, and where the parent has no such tensor. */
#include "worker/tasks/moving.h"

#include "common/arch/layout.h"
#include "common/base/mem.h"
#include "worker/task/task.h"
#include "worker/tasks/choosing.h"

#include <stdio.h>

static bool is_first(const ps_plan *plan, const ps_plan_tensor *tensor)
{
    const ps_plan_tensor *t = plan->tensors;
    while (!t->moves)
        t++;
    return t == tensor;
}

/* "layers 1 (0.02), 2 (0.03) of 4 go" */
static void say(const ps_compress_job *job, const ps_moved *m)
{
    ps_buf text = PS_BUF_EMPTY;
    for (size_t i = 0; i < m->layers; i++)
        if (!m->keep[i])
            ps_buf_printf(&text, "%s%zu (%.3g)", text.len ? ", " : "", i, m->influence[i]);
    ps_task_log(job->run, PS_LOG_INFO,
                "of %zu layers those go that change least what runs through them, 1 - cosine: %s",
                m->layers, ps_buf_cstr(&text));
    ps_buf_free(&text);
}

/* The place-th of those that stay. */
static bool find_layer(ps_moved *m, size_t place)
{
    for (size_t i = 0; i < m->layers; i++)
        if (m->keep[i] && place-- == 0) {
            m->layer = i;
            return true;
        }
    return false;
}

ps_status ps_moved_find(const ps_compress_job *job, const ps_plan_tensor *tensor, ps_moved *out)
{
    size_t place = 0;
    double lost;
    *out = (ps_moved){.layers = (size_t)job->plan->units[0].units};
    out->keep = ps_try_alloc(out->layers * sizeof *out->keep);
    ps_status st = out->keep ? ps_layers_influence(job, &out->influence)
                             : ps_fail(PS_NO_MEMORY, "which layers stay");
    if (!st)
        st = ps_choose_units(job, 0, out->keep, &lost);
    if (!st && (!ps_lm_block_of(tensor->stored.name, &place) || !find_layer(out, place)))
        st = ps_fail(PS_FAILED_PRECONDITION, "tensor %s is of no layer", tensor->stored.name);
    if (!st && is_first(job->plan, tensor))
        say(job, out);
    return st;
}

void ps_moved_clear(ps_moved *moved)
{
    ps_free(&moved->keep);
    ps_free(&moved->influence);
}

ps_status ps_moved_weights(const ps_compress_job *job, const ps_plan_tensor *tensor,
                           const ps_moved *moved, float **out)
{
    char name[PS_LM_NAME];
    ps_plan_tensor there = *tensor;
    if (!ps_lm_name_in_block(tensor->stored.name, moved->layer, name))
        return ps_fail(PS_FAILED_PRECONDITION, "tensor %s is of no layer", tensor->stored.name);
    there.stored.name = name;
    return ps_compress_parent_weights(job, &there, out);
}

void ps_moved_tell(const ps_moved *m, ps_json_writer *json)
{
    ps_json_object(json);
    ps_json_put_uint(json, "layer", m->layer);
    ps_json_put_uint(json, "layers", m->layers);
    ps_json_key(json, "kept");
    ps_json_array(json);
    for (size_t i = 0; i < m->layers; i++)
        if (m->keep[i])
            ps_json_uint(json, i);
    ps_json_array_end(json);
    ps_json_key(json, "influence");
    ps_json_array(json);
    for (size_t i = 0; i < m->layers; i++)
        ps_json_double(json, m->influence[i]);
    ps_json_array_end(json);
    ps_json_object_end(json);
}
