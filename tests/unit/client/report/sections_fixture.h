/* sections_fixture: what methods have left, small arrays under a manifest whose names are hostile,
 * for sections to draw. */
#ifndef PS_TEST_SECTIONS_FIXTURE_H
#define PS_TEST_SECTIONS_FIXTURE_H

#include "client/report/report.h"

#include "common/base/mem.h"
#include "tests/lib/check_main.h"

#include <math.h>
#include <string.h>

static const float counts[4] = {7, 2, 0, 11}, summary[5] = {0.9F, 0.25F, 0.15F, 0.05F, 0.4F},
                   losses[8] = {0.1F, 0.9F, 0.9F, 0, 4.5F, 0.99F, 0.011F, 1},
                   statistics[4] = {0.5F, 1, NAN, 3}, histogram[8] = {1, 5, 9, 2, 0, 4, 0, 0},
                   singular[6] = {8, 4, 1, NAN, NAN, NAN}, rank[4] = {2, 1, 5, NAN},
                   patterns[4] = {1, 0.5F, NAN, 7}, top[8] = {0, 1, 1, 0, 1, 0, 0, NAN},
                   curve[6] = {4, 1, 0, 10, 8, 6}, random_height[2] = {0.5F, 0.7F},
                   likely[8] = {-0.1F, -3, -0.5F, -1, 0, -9, NAN, NAN}, apart[4] = {NAN, 1, NAN, 3};
enum { WIDE = 4001 }; /* one more than is drawn */
static const float wide[2 * WIDE] = {1, 2, 3};
static const ps_safetensors_tensor tensors[] = {
    {.name = "a", .dtype = PS_SAFETENSORS_F32, .n_dims = 5, .shape = {2, 1, 2, 1, 1}},
    {.name = "c", .dtype = PS_SAFETENSORS_F32, .n_dims = 2, .shape = {2, 2}},
    {.name = "d", .dtype = PS_SAFETENSORS_F32, .n_dims = 2, .shape = {2, 3}},
    {.name = "e", .dtype = PS_SAFETENSORS_F32, .n_dims = 1, .shape = {2}},
    {.name = "h", .dtype = PS_SAFETENSORS_F32, .n_dims = 2, .shape = {2, 4}},
    {.name = "k", .dtype = PS_SAFETENSORS_F32, .n_dims = 2, .shape = {2, 2}},
    {.name = "l", .dtype = PS_SAFETENSORS_F32, .n_dims = 2, .shape = {2, 4}},
    {.name = "p", .dtype = PS_SAFETENSORS_F32, .n_dims = 3, .shape = {2, 2, 2}},
    {.name = "r", .dtype = PS_SAFETENSORS_F32, .n_dims = 2, .shape = {2, 2}},
    {.name = "s", .dtype = PS_SAFETENSORS_F32, .n_dims = 1, .shape = {5}},
    {.name = "t", .dtype = PS_SAFETENSORS_F32, .n_dims = 3, .shape = {2, 2, 2}},
    {.name = "v", .dtype = PS_SAFETENSORS_F32, .n_dims = 2, .shape = {2, 3}},
    {.name = "w", .dtype = PS_SAFETENSORS_F32, .n_dims = 2, .shape = {2, 2}},
    {.name = "z", .dtype = PS_SAFETENSORS_F32, .n_dims = 2, .shape = {2, WIDE}},
};
static const struct {
    const void *data;
    size_t bytes;
} arrays[] = {{patterns, sizeof patterns},
              {counts, sizeof counts},
              {curve, sizeof curve},
              {random_height, sizeof random_height},
              {histogram, sizeof histogram},
              {apart, sizeof apart},
              {losses, sizeof losses},
              {likely, sizeof likely},
              {rank, sizeof rank},
              {summary, sizeof summary},
              {top, sizeof top},
              {singular, sizeof singular},
              {statistics, sizeof statistics},
              {wide, sizeof wide}};
enum { ARRAYS = sizeof tensors / sizeof *tensors };

static inline ps_status write_file(void *state, const void *data, size_t len)
{
    ps_buf_append(state, data, len);
    return PS_OK;
}

static const char manifest[] =
    "{\"psd_explain\":1,\"lineage\":{\"model\":{\"name\":\"m\",\"tensors\":[\"a<b>\",\"c\"]}},"
    "\"classes\":true,\"results\":["
    "{\"method\":\"confusion\",\"arrays\":[{\"name\":\"counts\",\"array\":\"c\"}]},"
    "{\"method\":\"calibration\",\"arrays\":[{\"name\":\"summary\",\"array\":\"s\"}]},"
    "{\"method\":\"losses\",\"arrays\":[{\"name\":\"rows\",\"array\":\"l\"}]},"
    "{\"method\":\"logit_lens\",\"arrays\":[{\"name\":\"rank\",\"array\":\"r\"},"
    "{\"name\":\"log_probability\",\"array\":\"r\"},{\"name\":\"top\",\"array\":\"t\"},"
    "{\"name\":\"top_log_probability\",\"array\":\"p\"}]},"
    "{\"method\":\"attention\",\"arrays\":[{\"name\":\"entropy\",\"array\":\"p\"},"
    "{\"name\":\"distance\",\"array\":\"t\"},{\"name\":\"patterns\",\"array\":\"a\"}]},"
    "{\"method\":\"head_ablation\",\"arrays\":[{\"name\":\"effect\",\"array\":\"p\"}]},"
    "{\"method\":\"head_scores\",\"arrays\":[{\"name\":\"induction\",\"array\":\"w\"},"
    "{\"name\":\"previous\",\"array\":\"r\"}]},"
    "{\"method\":\"direct_logits\",\"arrays\":[{\"name\":\"heads\",\"array\":\"t\"},"
    "{\"name\":\"mlp\",\"array\":\"r\"},{\"name\":\"embed\",\"array\":\"s\"}]},"
    "{\"method\":\"part_shapley\",\"arrays\":[{\"name\":\"shapley\",\"array\":\"r\"},"
    "{\"name\":\"leave_one_out\",\"array\":\"w\"},{\"name\":\"ends\",\"array\":\"c\"},"
    "{\"name\":\"players\",\"array\":\"h\"}]},"
    "{\"method\":\"blocks\",\"arrays\":[{\"name\":\"contributions\",\"array\":\"t\"},"
    "{\"name\":\"bias\",\"array\":\"r\"},{\"name\":\"side_by_side\",\"array\":\"e\"}]},"
    "{\"method\":\"deletion\",\"arguments\":{\"steps\":2,\"of\":\"</script><img>\"},\"arrays\":["
    "{\"name\":\"curve\",\"array\":\"d\"},{\"name\":\"random\",\"array\":\"e\"}]},"
    "{\"method\":\"infidelity\",\"arguments\":{\"of\":7},\"arrays\":[{\"name\":\"infidelity\","
    "\"array\":"
    "\"r\"}]},"
    "{\"method\":\"randomisation\",\"arguments\":[],\"arrays\":[{\"name\":\"correlation\","
    "\"array\":\"d\"}]},"
    "{\"method\":\"activations\",\"arrays\":[{\"name\":\"statistics\",\"array\":\"t\",\"entries\":["
    "\"mean\",\"deviation\"]},{\"name\":\"dead\",\"array\":\"e\"}]},"
    "{\"method\":\"similarity\",\"arrays\":[{\"name\":\"cka\",\"array\":\"w\"}]},"
    "{\"method\":\"pca\",\"arrays\":[{\"name\":\"coordinates\",\"array\":\"p\"},{\"name\":"
    "\"explained\",\"array\":\"w\"}]},"
    "{\"method\":\"probes\",\"arrays\":[{\"name\":\"accuracy\",\"array\":\"e\"},{\"name\":"
    "\"control\",\"array\":\"r\"},{\"name\":\"usual\",\"array\":\"s\"}]},"
    "{\"method\":\"weight_change\",\"arrays\":[{\"name\":\"statistics\",\"array\":\"w\","
    "\"entries\":[\"change\",\"sqnr\"]}]},"
    "{\"method\":\"loss_path\",\"arrays\":[{\"name\":\"by_tensor\",\"array\":\"e\"},{\"name\":"
    "\"summary\",\"array\":\"s\",\"entries\":[\"loss\",\"other_loss\"]}]},"
    "{\"method\":\"answer_change\",\"arrays\":[{\"name\":\"rows\",\"array\":\"l\",\"entries\":["
    "\"divergence\",\"flip\",\"loss\",\"other_loss\"]}]},"
    "{\"method\":\"representation_change\",\"arrays\":[{\"name\":\"cka\",\"array\":\"w\"}]},"
    "{\"method\":\"attribution_change\",\"arrays\":[{\"name\":\"rows\",\"array\":\"l\","
    "\"entries\":[\"distance\",\"rank\",\"cosine\"]},{\"name\":\"mean\",\"array\":\"e\"}]},"
    "{\"method\":\"sae\",\"arrays\":[{\"name\":\"explained_variance\",\"array\":\"s\"},{\"name\":"
    "\"feature\",\"array\":\"e\"},{\"name\":\"share\",\"array\":\"e\"},{\"name\":\"top_item\","
    "\"array\":"
    "\"r\"},{\"name\":\"top_activity\",\"array\":\"c\"},{\"name\":\"top_position\",\"array\":\"w\"}"
    "]},"
    "{\"method\":\"weights\",\"arrays\":[{\"name\":\"statistics\",\"array\":\"w\",\"entries\":"
    "[\"deviation\",\"stable_rank\"]},{\"name\":\"histogram\",\"array\":\"h\"},{\"name\":"
    "\"singular\","
    "\"array\":\"v\"}]}],\"rows\":[{\"row\":3,\"label\":0,\"prediction\":0},{\"row\":60,\"label\":"
    "0,"
    "\"prediction\":1}]}";

static inline const ps_report_section *section_of(const char *id)
{
    for (size_t i = 0; ps_report_sections[i]; i++)
        if (!strcmp(ps_report_sections[i]->id, id))
            return ps_report_sections[i];
    ck_abort_msg("no section %s", id);
}

typedef struct fixture {
    ps_explanation manifest;
    ps_buf bytes;
    ps_safetensors *file;
    ps_explain_view view;
    ps_report report;
} fixture;

static char hostile[] = "</script><img onerror=x>", plain[] = "boot";
static char *const names[] = {hostile, plain};

static inline void setup(fixture *f)
{
    ps_safetensors_writer *w = NULL;
    *f = (fixture){.bytes = PS_BUF_EMPTY};
    ck_ok(ps_safetensors_writer_new(tensors, ARRAYS, NULL, 0,
                                    (ps_safetensors_sink){.write = write_file, .state = &f->bytes},
                                    &w));
    for (size_t i = 0; i < ARRAYS; i++)
        ck_ok(ps_safetensors_writer_data(w, arrays[ps_safetensors_writer_order(w, i)].data,
                                         arrays[ps_safetensors_writer_order(w, i)].bytes));
    ck_ok(ps_safetensors_writer_finish(&w));
    ps_safetensors_writer_free(&w);
    ck_ok(ps_safetensors_parse(ps_buf_slice(&f->bytes), f->bytes.len, &f->file));
    ck_ok(ps_explanation_read(ps_slice_str(manifest), &f->manifest));
    f->view = (ps_explain_view){.manifest = &f->manifest,
                                .file = f->file,
                                .arrays = ps_buf_slice(&f->bytes),
                                .names = names,
                                .n_names = 2};
    f->report = (ps_report){.title = "m", .explanation = &f->view, .room = ps_room_of(1 << 20)};
}

static inline void teardown(fixture *f)
{
    ps_room_clear(&f->report.room);
    ps_explanation_free(&f->manifest);
    ps_safetensors_free(&f->file);
    ps_buf_free(&f->bytes);
}

static inline void draw(fixture *f, const char *id, ps_buf *out)
{
    *out = PS_BUF_EMPTY;
    ck_assert(section_of(id)->present(&f->report));
    section_of(id)->draw(&f->report, out);
    ck_assert_msg(!strstr(ps_buf_cstr(out), "<img"), "a name became markup");
}

static inline void has(ps_buf *out, const char *text)
{
    ck_assert_msg(strstr(ps_buf_cstr(out), text) != NULL, "%s is not in\n%.2000s", text,
                  ps_buf_cstr(out));
}

static inline void has_not(ps_buf *out, const char *text)
{
    ck_assert_msg(!strstr(ps_buf_cstr(out), text), "%s is in\n%.2000s", text, ps_buf_cstr(out));
}

#endif
