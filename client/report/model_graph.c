/* The configuration is read as stored models carry it, and the list of tensors borrowed. */
#include "client/report/model_graph.h"

#include "common/base/mem.h"

ps_status ps_model_graph(const Psd__V1__Model *model, ps_graph_cuts cuts, ps_graph **out)
{
    ps_spec_model *config = NULL;
    ps_status st = ps_spec_model_parse(ps_slice_str(model->config), "its configuration", &config);
    if (st)
        return ps_wrap(st, "model %s", model->name);
    ps_graph_given *given = ps_alloc_array(model->n_tensors + 1, sizeof *given);
    for (size_t i = 0; i < model->n_tensors; i++) {
        const Psd__V1__ModelTensor *t = model->tensors[i];
        given[i] = (ps_graph_given){t->name, t->shape, t->n_shape, t->form};
    }
    st = ps_graph_create(config, given, model->n_tensors, cuts, out);
    if (st)
        st = ps_wrap(st, "model %s", model->name);
    ps_free(&given);
    ps_spec_model_free(&config);
    return st;
}
