#include "tests/lib/graph_sample.h"

#include "common/base/mem.h"
#include "common/model/lm_layout.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(sample_list *list, const char *name, size_t dims, uint64_t first, uint64_t second)
{
    (void)snprintf(list->names[list->n], PS_LM_NAME, "%s", name);
    list->shapes[list->n][0] = first;
    list->shapes[list->n][1] = second;
    list->given[list->n] =
        (ps_graph_given){list->names[list->n], list->shapes[list->n], dims, "float32"};
    list->n++;
}

static void list_language(const ps_spec_model *m, sample_list *list)
{
    ps_lm_tensor *tensors;
    size_t n;
    ps_lm_layout(m, &tensors, &n);
    for (size_t i = 0; i < n; i++)
        add(list, tensors[i].name, tensors[i].n_dims, tensors[i].shape[0], tensors[i].shape[1]);
    ps_free(&tensors);
}

static void list_layers(const ps_spec_model *m, sample_list *list)
{
    for (size_t i = 0; i + 1 < m->n_layers; i++) {
        char name[PS_LM_NAME];
        (void)snprintf(name, sizeof name, "layers.%zu.weight", i);
        add(list, name, 2, (uint64_t)m->layers[i + 1], (uint64_t)m->layers[i]);
        (void)snprintf(name, sizeof name, "layers.%zu.bias", i);
        add(list, name, 1, (uint64_t)m->layers[i + 1], 0);
    }
}

ps_status sample_graph(const char *config, const char *(*form_of)(const char *name),
                       ps_graph_cuts cuts, void (*change)(sample_list *list), ps_graph **out)
{
    enum { MOST = 256 };
    ps_spec_model *m;
    ps_status st = ps_spec_model_parse(ps_slice_str(config), "sample", &m);
    if (st)
        return st;
    sample_list list = {.given = ps_alloc_array(MOST, sizeof *list.given),
                        .shapes = ps_alloc_array(MOST, sizeof *list.shapes),
                        .names = ps_alloc_array(MOST, sizeof *list.names)};
    if (ps_spec_model_is_language(m))
        list_language(m, &list);
    else
        list_layers(m, &list);
    for (size_t i = 0; form_of && i < list.n; i++)
        if (form_of(list.names[i]))
            list.given[i].form = form_of(list.names[i]);
    if (change)
        change(&list);
    st = ps_graph_create(m, list.given, list.n, cuts, out);
    ps_free(&list.given);
    ps_free(&list.shapes);
    ps_free(&list.names);
    ps_spec_model_free(&m);
    return st;
}
