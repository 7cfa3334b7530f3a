/* Happy path: keys of config.json are read once more: the class, its labels and what they are for.
 */
#include "common/model/hf_texts.h"

#include "common/arch/arch.h"
#include "common/base/mem.h"
#include "common/base/text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_CLASSES = 4096, MOST_NAME = 255 };

/* ---- the class and its labels ---- */

typedef struct labels {
    char *names[MOST_CLASSES]; /* by their ids, which may come in any order */
    int64_t n, num_labels;
    bool classifies; /* by its class */
    bool own;        /* a name is other than LABEL_0 */
    bool several;    /* or none: a text need not be of one class */
} labels;

static ps_status take_class(ps_json_reader *r, labels *l)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    while (!st && token.kind != PS_JSON_ARRAY_END && token.kind != PS_JSON_NULL) {
        if (token.kind == PS_JSON_STRING)
            l->classifies |=
                ps_text_ends((const char *)token.text.data, "ForSequenceClassification");
        else if (token.kind != PS_JSON_ARRAY)
            return ps_fail(PS_INVALID_ARGUMENT, "architectures has no value that is known here");
        st = ps_json_next(r, &token);
    }
    return st;
}

static ps_status take_label(ps_json_reader *r, const ps_json_token *key, labels *l)
{
    size_t digits = strspn((const char *)key->text.data, "0123456789");
    bool known = digits && digits == key->text.len && digits < 6;
    long id = known ? strtol((const char *)key->text.data, NULL, 10) : MOST_CLASSES;
    if (id >= MOST_CLASSES)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "id2label: key %.20s; classes are counted from 0 on, and at most %d",
                       (const char *)key->text.data, MOST_CLASSES);
    ps_json_token name;
    ps_status st = ps_json_next(r, &name);
    if (st)
        return st;
    if (name.kind != PS_JSON_STRING || !name.text.len || name.text.len > MOST_NAME ||
        strlen((const char *)name.text.data) != name.text.len)
        return ps_fail(PS_INVALID_ARGUMENT, "id2label: class %ld has no name of 1 to %d bytes", id,
                       MOST_NAME);
    if (l->names[id])
        return ps_fail(PS_INVALID_ARGUMENT, "id2label: class %ld is there twice", id);
    char usual[32];
    (void)snprintf(usual, sizeof usual, "LABEL_%ld", id);
    l->own |= strcmp((const char *)name.text.data, usual) != 0;
    l->names[id] = ps_strdup((const char *)name.text.data);
    l->n++;
    return PS_OK;
}

static ps_status take_labels(ps_json_reader *r, labels *l)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    if (st || token.kind == PS_JSON_NULL)
        return st;
    if (token.kind != PS_JSON_OBJECT)
        return ps_fail(PS_INVALID_ARGUMENT, "id2label must be an object");
    while (ps_json_member(r, &token, &st))
        st = take_label(r, &token, l);
    return st;
}

static ps_status take_count(ps_json_reader *r, labels *l)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    if (!st && token.kind == PS_JSON_NUMBER && token.is_u64 && token.u64 <= MOST_CLASSES)
        l->num_labels = (int64_t)token.u64;
    else if (!st && token.kind != PS_JSON_NULL)
        st = ps_fail(PS_INVALID_ARGUMENT, "num_labels must be a number up to %d", MOST_CLASSES);
    return st;
}

/* Of several classes at once each has a probability of its own, and of a regression there are none:
 * neither is what the classes' softmax says. */
static ps_status take_problem(ps_json_reader *r, labels *l)
{
    ps_json_token token;
    ps_status st = ps_json_next(r, &token);
    if (!st && token.kind != PS_JSON_STRING && token.kind != PS_JSON_NULL)
        return ps_fail(PS_INVALID_ARGUMENT, "problem_type must be a text");
    l->several = !st && token.kind == PS_JSON_STRING &&
                 strcmp((const char *)token.text.data, "single_label_classification") != 0;
    return st;
}

static ps_status read_labels(ps_slice json, labels *l)
{
    ps_json_reader r;
    ps_json_token key;
    ps_json_reader_init(&r, json);
    ps_status st = ps_json_expect(&r, PS_JSON_OBJECT, &key);
    while (ps_json_member(&r, &key, &st)) {
        const char *name = (const char *)key.text.data;
        st = !strcmp(name, "architectures")       ? take_class(&r, l)
             : !strcmp(name, "id2label") && !l->n ? take_labels(&r, l)
             : !strcmp(name, "num_labels")        ? take_count(&r, l)
             : !strcmp(name, "problem_type")      ? take_problem(&r, l)
                                                  : ps_json_skip(&r);
    }
    ps_json_reader_free(&r);
    return st;
}

static ps_status check_names(const labels *l)
{
    for (int64_t i = 0; i < l->n; i++)
        if (!l->names[i])
            return ps_fail(PS_INVALID_ARGUMENT,
                           "id2label: class %" PRId64 " is missing; they are counted from 0 on", i);
    for (int64_t i = 1; i < l->n; i++)
        for (int64_t k = 0; k < i; k++)
            if (!strcmp(l->names[i], l->names[k]))
                return ps_fail(PS_INVALID_ARGUMENT, "id2label: '%s' is there twice", l->names[i]);
    return PS_OK;
}

static ps_status take_classes(labels *l, ps_spec_model *model)
{
    int64_t n = l->n ? l->n : l->num_labels ? l->num_labels : 2;
    ps_status st = check_names(l);
    if (!st && l->several)
        st = ps_fail(PS_INVALID_ARGUMENT,
                     "problem_type: only models of texts that are of one class each are known here "
                     "(single_label_classification)");
    if (!st && n < 2)
        st =
            ps_fail(PS_INVALID_ARGUMENT,
                    "num_labels is %" PRId64 "; only models that tell at least 2 classes apart are "
                    "known here, and none whose answer is a number (regression)",
                    n);
    if (st)
        return st;
    model->choices.num_classes = n;
    for (int64_t i = 0; l->own && i < n; i++) {
        model->classes = ps_realloc(model->classes, (size_t)(i + 1) * sizeof *model->classes);
        model->classes[model->n_classes++] = l->names[i];
        l->names[i] = NULL;
    }
    return PS_OK;
}

ps_status ps_hf_texts_read(ps_slice json, ps_spec_model *model)
{
    labels *l = ps_new(labels);
    ps_status st = read_labels(json, l);
    if (!st && l->classifies)
        st = take_classes(l, model);
    for (int64_t i = 0; i < MOST_CLASSES; i++)
        ps_free(&l->names[i]);
    ps_free(&l);
    return st;
}

void ps_hf_texts_write(const ps_spec_model *m, ps_json_writer *w)
{
    int64_t n = m->choices.num_classes;
    char key[32];
    if (!n)
        return;
    ps_json_key(w, "id2label");
    ps_json_object(w);
    for (int64_t i = 0; i < n; i++) {
        (void)snprintf(key, sizeof key, "%" PRId64, i);
        ps_json_key(w, key);
        (void)snprintf(key, sizeof key, "LABEL_%" PRId64, i);
        ps_json_string(w, m->n_classes ? m->classes[i] : key);
    }
    ps_json_object_end(w);
    ps_json_key(w, "label2id");
    ps_json_object(w);
    for (int64_t i = 0; i < n; i++) {
        (void)snprintf(key, sizeof key, "LABEL_%" PRId64, i);
        ps_json_put_int(w, m->n_classes ? m->classes[i] : key, i);
    }
    ps_json_object_end(w);
}
