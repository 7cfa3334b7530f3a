#include "server/sched/task_result.h"

#include "common/base/mem.h"
#include "common/base/text.h"
#include "common/format/artifact_name.h"
#include "common/json/json.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void copy_tensor(const ps_data_plan_tensor *from, ps_data_plan_tensor *out)
{
    *out = *from;
    out->name = ps_strdup(from->name);
    out->form = ps_strdup(from->form ? from->form : "");
    out->begins_as = ps_strdup(from->begins_as ? from->begins_as : "");
    out->shape = ps_alloc_array(from->n_shape + 1, sizeof *out->shape);
    if (from->n_shape)
        memcpy(out->shape, from->shape, from->n_shape * sizeof *out->shape);
}

ps_data_plan *ps_data_plan_copy(const ps_data_plan *plan)
{
    ps_data_plan *copy = ps_new(ps_data_plan);
    *copy = *plan;
    copy->model = ps_strdup(plan->model);
    copy->tensors = ps_alloc_array(plan->n_tensors + 1, sizeof *copy->tensors);
    for (size_t i = 0; i < plan->n_tensors; i++)
        copy_tensor(&plan->tensors[i], &copy->tensors[i]);
    return copy;
}

void ps_data_plan_free(ps_data_plan **plan)
{
    ps_data_plan *p = *plan;
    if (!p)
        return;
    for (size_t i = 0; i < p->n_tensors; i++) {
        free(p->tensors[i].name);
        free(p->tensors[i].shape);
        free(p->tensors[i].form);
        free(p->tensors[i].begins_as);
    }
    free(p->tensors);
    free(p->model);
    ps_free(plan);
}

/* ---- numbers ---- */

static bool name_ok(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return n > 0 && n < PS_METRIC_NAME && name[n] == 0;
}

void ps_task_result_add(ps_task_result *r, const char *name, double value)
{
    double known;
    if (r->n_numbers < PS_RESULT_NUMBERS && name_ok(name) &&
        !ps_task_result_number(r, name, &known))
        r->numbers[r->n_numbers++] = (ps_result_number){.name = name, .value = value};
}

bool ps_task_result_number(const ps_task_result *r, const char *name, double *out)
{
    for (size_t i = 0; i < r->n_numbers; i++) {
        if (strcmp(r->numbers[i].name, name) != 0)
            continue;
        *out = r->numbers[i].value;
        return true;
    }
    return false;
}

bool ps_task_result_count(const ps_task_result *r, const char *name, uint64_t *out)
{
    const double most = 0x1p53; /* up to there, each whole number is a double */
    double value = 0;
    if (!ps_task_result_number(r, name, &value) || !(value >= 0 && value <= most) ||
        floor(value) != value)
        return false;
    *out = (uint64_t)value;
    return true;
}

void ps_task_result_metrics(const ps_task_result *r, ps_metric_list *out)
{
    *out = (ps_metric_list){0};
    for (size_t i = 0; i < r->n_numbers; i++)
        ps_metric_list_add(out, r->numbers[i].name, r->numbers[i].value);
}

/* ---- the report ---- */

static const char *word_of(const ps_json_token *token, const char *const *words)
{
    for (; *words; words++)
        if (token->kind == PS_JSON_STRING && token->text.len == strlen(*words) &&
            memcmp(token->text.data, *words, token->text.len) == 0)
            return *words;
    return NULL;
}

static bool is_key(const ps_json_token *token, const char *key)
{
    return token->text.len == strlen(key) && memcmp(token->text.data, key, strlen(key)) == 0;
}

const char *ps_task_result_word(const ps_task_result *r, const char *key, const char *const *words)
{
    ps_json_reader in;
    ps_json_token token;
    const char *word = NULL;
    if (!r->report || !*r->report)
        return NULL;
    ps_json_reader_init(&in, ps_slice_str(r->report));
    ps_status st = ps_json_expect(&in, PS_JSON_OBJECT, &token);
    while (!word && ps_json_member(&in, &token, &st)) {
        bool found = is_key(&token, key);
        st = found ? ps_json_next(&in, &token) : ps_json_skip(&in);
        if (found && !st)
            word = word_of(&token, words);
        if (found && !word)
            break;
    }
    ps_json_reader_free(&in);
    return word;
}

static ps_status check_report(const char *report)
{
    ps_json_reader in;
    ps_json_token token;
    size_t len = strlen(report);
    if (len > PS_RESULT_REPORT)
        return ps_fail(PS_INVALID_ARGUMENT, "a report of %zu bytes, allowed are %d", len,
                       PS_RESULT_REPORT);
    ps_json_reader_init(&in, ps_slice_of(report, len));
    ps_status st = ps_json_expect(&in, PS_JSON_OBJECT, &token);
    while (!st && token.kind != PS_JSON_END)
        st = ps_json_next(&in, &token);
    ps_json_reader_free(&in);
    return st ? ps_wrap(PS_INVALID_ARGUMENT, "its report is no JSON object") : PS_OK;
}

/* What people will read, and what a line of it will be (sources.h). */
static ps_status check_file(const ps_result_file *f)
{
    size_t len = strlen(f->path), at = 0;
    bool fit = len > 0 && len < PS_RESULT_PATH_MOST;
    while (fit && at < len)
        at += ps_text_character(f->path + at, len - at, &fit);
    if (!fit)
        return ps_fail(PS_INVALID_ARGUMENT,
                       "the path of a file of data: 1 to %d bytes of UTF-8, without control "
                       "characters",
                       PS_RESULT_PATH_MOST - 1);
    size_t digits = strspn(f->sha256, "0123456789abcdef");
    if (f->sha256[digits] || (digits && digits != PS_DIGEST_TEXT - 1))
        return ps_fail(PS_INVALID_ARGUMENT, "%s: its digest is no SHA-256", f->path);
    return PS_OK;
}

static ps_status check_files(const ps_task_result *r)
{
    if (r->n_files > PS_RESULT_FILES)
        return ps_fail(PS_INVALID_ARGUMENT, "%zu files of data, allowed are %d", r->n_files,
                       PS_RESULT_FILES);
    ps_status st = PS_OK;
    for (size_t i = 0; !st && i < r->n_files; i++)
        st = check_file(&r->files[i]);
    return st;
}

ps_status ps_task_result_check(const ps_task_result *r)
{
    if (r->n_artifacts > PS_RESULT_ARTIFACTS)
        return ps_fail(PS_INVALID_ARGUMENT, "names of %zu artifacts, allowed are %d",
                       r->n_artifacts, PS_RESULT_ARTIFACTS);
    for (size_t i = 0; i < r->n_artifacts; i++)
        if (!ps_artifact_name_ok(r->artifacts[i]))
            return ps_fail(PS_INVALID_ARGUMENT, "an artifact's name: " PS_ARTIFACT_NAME_RULE);
    ps_status st = check_files(r);
    return !st && r->report && *r->report ? check_report(r->report) : st;
}
