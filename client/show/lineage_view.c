/* Happy path: the members are read into structs by tables (json_fields.h), lists row by row into
 * tables for people. What a newer psd adds is passed over. */
#include "client/show/lineage_view.h"

#include "client/show/human.h"
#include "client/show/json_fields.h"
#include "common/base/clock.h"
#include "common/signing/model_sign.h"

#include <math.h>
#include <string.h>

typedef struct model {
    char name[PS_FIELD_TEXT], version[PS_FIELD_TEXT], sha256[PS_FIELD_TEXT], owner[PS_FIELD_TEXT];
    double bytes;
} model;

static const ps_json_field model_fields[] = {
    PS_FIELD_WORDS("name", model, name),     PS_FIELD_WORDS("version", model, version),
    PS_FIELD_WORDS("sha256", model, sha256), PS_FIELD_WORDS("owner", model, owner),
    PS_FIELD_NUMBER(model, bytes),
};

typedef struct made {
    char by[PS_FIELD_TEXT], how[PS_FIELD_TEXT];
    double job, written_ms;
} made;

static const ps_json_field made_fields[] = {
    PS_FIELD_WORDS("by", made, by),
    PS_FIELD_WORDS("how", made, how),
    PS_FIELD_NUMBER(made, job),
    PS_FIELD_NUMBER(made, written_ms),
};

typedef struct job_file {
    char sha256[PS_FIELD_TEXT];
} job_file;

static const ps_json_field job_file_fields[] = {PS_FIELD_WORDS("sha256", job_file, sha256)};

typedef struct before {
    char as[PS_FIELD_TEXT], name[PS_FIELD_TEXT], sha256[PS_FIELD_TEXT];
} before;

static const ps_json_field before_fields[] = {
    PS_FIELD_WORDS("as", before, as),
    PS_FIELD_WORDS("name", before, name),
    PS_FIELD_WORDS("sha256", before, sha256),
};

typedef struct data {
    char path[PS_FIELD_TEXT], sha256[PS_FIELD_TEXT], read_by[PS_FIELD_TEXT];
    double bytes;
} data;

static const ps_json_field data_fields[] = {
    PS_FIELD_WORDS("path", data, path),
    PS_FIELD_WORDS("sha256", data, sha256),
    PS_FIELD_WORDS("read_by", data, read_by),
    PS_FIELD_NUMBER(data, bytes),
};

typedef struct contributor {
    char identity[PS_FIELD_TEXT];
    double pushes, refused;
} contributor;

static const ps_json_field contributor_fields[] = {
    PS_FIELD_WORDS("identity", contributor, identity),
    PS_FIELD_NUMBER(contributor, pushes),
    PS_FIELD_NUMBER(contributor, refused),
};

typedef struct lineage {
    char format[PS_FIELD_TEXT], psd[PS_FIELD_TEXT], cluster[PS_FIELD_TEXT], audit[PS_FIELD_TEXT];
    double updates, checkpoint;
    model model;
    made made;
    job_file job_file;
    ps_table *models, *data, *contributors;
    bool ancestors; /* the list at hand */
} lineage;

static const ps_json_field lineage_fields[] = {
    PS_FIELD_WORDS("format", lineage, format),   PS_FIELD_WORDS("psd", lineage, psd),
    PS_FIELD_WORDS("cluster", lineage, cluster), PS_FIELD_WORDS("audit_head", lineage, audit),
    PS_FIELD_NUMBER(lineage, updates),           PS_FIELD_NUMBER(lineage, checkpoint),
};

#define COUNT(fields) (sizeof(fields) / sizeof *(fields))
#define READER(type)                                                                         \
    static ps_status read_##type##_member(ps_json_reader *json, const char *key, void *into) \
    {                                                                                        \
        return ps_json_field_read(json, key, type##_fields, COUNT(type##_fields), into);     \
    }
READER(model)
READER(made)
READER(job_file)
READER(before)
READER(data)
READER(contributor)

/* ---- lists: a row each ---- */

static ps_status add_before(ps_json_reader *json, lineage *l)
{
    before b = {.as = ""};
    ps_status st = ps_json_object_read(json, &b, read_before_member);
    ps_table_text(l->models, l->ancestors ? "and before" : b.as);
    ps_table_text(l->models, b.name);
    ps_table_text(l->models, *b.sha256 ? b.sha256 : "not known");
    return st;
}

static ps_status add_data(ps_json_reader *json, lineage *l)
{
    data d = {.path = ""};
    ps_status st = ps_json_object_read(json, &d, read_data_member);
    ps_table_text(l->data, d.path);
    ps_table_text(l->data, ps_human_bytes(d.bytes).text);
    ps_table_text(l->data, ps_human_holder(d.read_by));
    ps_table_text(l->data, *d.sha256 ? d.sha256 : "not computed");
    return st;
}

static ps_status add_contributor(ps_json_reader *json, lineage *l)
{
    contributor c = {.identity = ""};
    ps_status st = ps_json_object_read(json, &c, read_contributor_member);
    ps_table_text(l->contributors, c.identity);
    ps_table_printf(l->contributors, "%.0f", c.pushes);
    ps_table_printf(l->contributors, "%.0f", c.refused);
    return st;
}

static ps_status read_list(ps_json_reader *json, lineage *l,
                           ps_status (*add)(ps_json_reader *json, lineage *l))
{
    ps_json_token token;
    ps_slice one;
    ps_status st = ps_json_expect(json, PS_JSON_ARRAY, &token);
    while (ps_json_element(json, &one, &st)) {
        ps_json_reader element;
        ps_json_reader_init(&element, one);
        st = add(&element, l);
        ps_json_reader_free(&element);
    }
    return st;
}

static ps_status read_member(ps_json_reader *json, const char *key, void *into)
{
    lineage *l = into;
    if (!strcmp(key, "model"))
        return ps_json_object_read(json, &l->model, read_model_member);
    if (!strcmp(key, "made"))
        return ps_json_object_read(json, &l->made, read_made_member);
    if (!strcmp(key, "job_file"))
        return ps_json_object_read(json, &l->job_file, read_job_file_member);
    l->ancestors = !strcmp(key, "ancestors");
    if (l->ancestors || !strcmp(key, "began_from"))
        return read_list(json, l, add_before);
    if (!strcmp(key, "data"))
        return read_list(json, l, add_data);
    if (!strcmp(key, "contributors"))
        return read_list(json, l, add_contributor);
    return ps_json_field_read(json, key, lineage_fields, COUNT(lineage_fields), l);
}

/* ---- for people ---- */

/* 0: a number that is no time. */
static int64_t time_of(double ms)
{
    return ms > 0 && ms <= (double)PS_CLOCK_TEXT_MOST_MS ? (int64_t)ms : 0;
}

static void put_head(ps_table *t, const lineage *l)
{
    ps_table_field(t, "model", "%s", l->model.name);
    ps_table_field(t, "version", "%s", l->model.version);
    ps_table_field(t, "sha256", "%s", l->model.sha256);
    ps_table_field(t, "size", "%s", ps_human_bytes(l->model.bytes).text);
    ps_table_field(t, "made by", "%s", l->made.by);
    if (l->made.job > 0)
        ps_table_field(t, "as", "%s, job %.0f", l->made.how, l->made.job);
    else
        ps_table_field(t, "as", "%s", l->made.how);
    ps_table_field(t, "written", "%s", ps_human_time(time_of(l->made.written_ms)).text);
    ps_table_field(t, "job file", "%s", l->job_file.sha256);
    ps_table_field(t, "psd", "%s", l->psd);
    ps_table_field(t, "cluster", "%s", l->cluster);
    if (l->updates > 0)
        ps_table_field(t, "updates", "%.0f", l->updates);
    if (l->checkpoint > 0)
        ps_table_field(t, "checkpoint", "%.0f", l->checkpoint);
    ps_table_field(t, "audit head", "%s", l->audit);
}

static void put_table(ps_buf *out, const ps_style *style, const ps_table *t)
{
    if (!ps_table_rows(t))
        return;
    ps_buf_putc(out, '\n');
    ps_table_render(t, style, out);
}

ps_status ps_lineage_text(ps_buf *out, const ps_style *style, const char *json)
{
    static const char *const models[] = {"BEGAN FROM", "MODEL", "SHA256", NULL};
    static const char *const files[] = {"DATA", ">SIZE", "READ BY", "SHA256", NULL};
    static const char *const people[] = {"CONTRIBUTOR", ">PUSHES", ">REFUSED", NULL};
    lineage l = {.models = ps_table_new(models),
                 .data = ps_table_new(files),
                 .contributors = ps_table_new(people)};
    ps_table *head = ps_table_new(NULL);
    ps_json_reader reader;
    ps_json_token end;
    ps_json_reader_init(&reader, ps_slice_str(json));
    ps_status st = ps_json_object_read(&reader, &l, read_member);
    if (!st)
        st = ps_json_expect(&reader, PS_JSON_END, &end);
    if (!st && strncmp(l.format, PS_PROVENANCE_FORMAT, strlen(PS_PROVENANCE_FORMAT)) != 0)
        st = ps_fail(PS_CORRUPT, "it is no psd-provenance");
    if (!st) {
        put_head(head, &l);
        ps_table_render(head, style, out);
        put_table(out, style, l.models);
        put_table(out, style, l.data);
        put_table(out, style, l.contributors);
    }
    ps_json_reader_free(&reader);
    ps_table_free(&head);
    ps_table_free(&l.models);
    ps_table_free(&l.data);
    ps_table_free(&l.contributors);
    return st;
}
