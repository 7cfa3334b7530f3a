/* section_influence: rows of training by their numbers and labels, which stay text; what is shown
 * of them, where the job shows it; and lists that do not go together are not there. */
#include "client/report/influence_text.h"
#include "client/report/section_rows.h"

#include "tests/lib/check_main.h"

#include <math.h>
#include <string.h>

static const float asked[2] = {3, 60}, helping[4] = {41, 7, NAN, NAN},
                   how_much[4] = {2.5F, 0.5F, NAN, NAN}, labels[4] = {0, 1, NAN, NAN},
                   shown_rows[1] = {41}, shown[4] = {0, 1, 0.5F, 1},
                   pushes[40] = {[35] = 9, 2, 32, 64, 0}, workers[3] = {'<', 'w', 0};
static const ps_safetensors_tensor tensors[] = {
    {.name = "a", .dtype = PS_SAFETENSORS_F32, .n_dims = 1, .shape = {2}},
    {.name = "h", .dtype = PS_SAFETENSORS_F32, .n_dims = 2, .shape = {2, 2}},
    {.name = "l", .dtype = PS_SAFETENSORS_F32, .n_dims = 2, .shape = {2, 2}},
    {.name = "m", .dtype = PS_SAFETENSORS_F32, .n_dims = 2, .shape = {2, 2}},
    {.name = "p", .dtype = PS_SAFETENSORS_F32, .n_dims = 2, .shape = {8, 5}},
    {.name = "r", .dtype = PS_SAFETENSORS_F32, .n_dims = 1, .shape = {1}},
    {.name = "s", .dtype = PS_SAFETENSORS_F32, .n_dims = 2, .shape = {1, 4}},
    {.name = "w", .dtype = PS_SAFETENSORS_F32, .n_dims = 2, .shape = {1, 3}},
};
enum { ARRAYS = sizeof tensors / sizeof *tensors };
static const struct {
    const void *data;
    size_t bytes;
} arrays[ARRAYS] = {{asked, sizeof asked},   {helping, sizeof helping},
                    {labels, sizeof labels}, {how_much, sizeof how_much},
                    {pushes, sizeof pushes}, {shown_rows, sizeof shown_rows},
                    {shown, sizeof shown},   {workers, sizeof workers}};

#define HEAD                                                                                       \
    "{\"psd_explain\":1,\"lineage\":{\"model\":{\"name\":\"m\"}},\"classes\":true,\"results\":[{"  \
    "\"kind\":\"influence\",\"method\":\"tracin\",\"arrays\":[{\"name\":\"queries\",\"array\":"    \
    "\"a\"},{\"name\":\"helping\",\"array\":\"h\"},{\"name\":\"helping_scores\",\"array\":\"m\"}," \
    "{"                                                                                            \
    "\"name\":\"helping_labels\",\"array\":\"l\"},{\"name\":\"hurting\",\"array\":\"a\"}"
#define TAIL                                                                          \
    "]}],\"rows\":[{\"row\":3,\"label\":0,\"prediction\":0},{\"row\":60,\"label\":0," \
    "\"prediction\":1}]}"

static char hostile[] = "</script><img onerror=x>", plain[] = "boot";
static char *const names[] = {hostile, plain};

static ps_status write_file(void *state, const void *data, size_t len)
{
    ps_buf_append(state, data, len);
    return PS_OK;
}

static void write_arrays(ps_buf *out)
{
    ps_safetensors_writer *w = NULL;
    ck_ok(ps_safetensors_writer_new(tensors, ARRAYS, NULL, 0,
                                    (ps_safetensors_sink){.write = write_file, .state = out}, &w));
    for (size_t i = 0; i < ARRAYS; i++)
        ck_ok(ps_safetensors_writer_data(w, arrays[ps_safetensors_writer_order(w, i)].data,
                                         arrays[ps_safetensors_writer_order(w, i)].bytes));
    ck_ok(ps_safetensors_writer_finish(&w));
    ps_safetensors_writer_free(&w);
}

static bool as_text; /* for a terminal */

/* Empty: the section is not there. */
static void draw(const char *manifest, ps_buf *out)
{
    ps_buf bytes = PS_BUF_EMPTY;
    ps_safetensors *file = NULL;
    ps_explanation said;
    *out = PS_BUF_EMPTY;
    write_arrays(&bytes);
    ck_ok(ps_safetensors_parse(ps_buf_slice(&bytes), bytes.len, &file));
    ck_ok(ps_explanation_read(ps_slice_str(manifest), &said));
    const ps_explain_view view = {.manifest = &said,
                                  .file = file,
                                  .arrays = ps_buf_slice(&bytes),
                                  .names = names,
                                  .n_names = 2,
                                  .rows = 5};
    ps_report report = {.title = "m", .explanation = &view, .room = ps_room_of(1 << 20)};
    if (as_text)
        ps_influence_text(out, &(ps_style){.color = false}, &view, 5);
    else if (ps_section_influence.present(&report))
        ps_section_influence.draw(&report, out);
    ps_room_clear(&report.room);
    ps_explanation_free(&said);
    ps_safetensors_free(&file);
    ps_buf_free(&bytes);
}

static void has(ps_buf *out, const char *text)
{
    ck_assert_msg(strstr(ps_buf_cstr(out), text) != NULL, "%s is not in\n%.2000s", text,
                  ps_buf_cstr(out));
}

START_TEST(rows_of_training_are_named)
{
    ps_buf out;
    draw(HEAD TAIL, &out);
    has(&out, "By tracin");
    has(&out, "<td class=\"n\">41</td><td>&lt;/script&gt;&lt;img onerror=x&gt;</td><td "
              "class=\"n\">+2.5</td>");
    has(&out, "<td class=\"n\">7</td><td>boot</td><td class=\"n\">+0.5</td>");
    has(&out, "<h3>Row 60</h3>");
    has(&out, "None.");
    ck_assert(!strstr(ps_buf_cstr(&out), "<img onerror"));
    ck_assert(!strstr(ps_buf_cstr(&out), "raises it"));
    ck_assert(!strstr(ps_buf_cstr(&out), "weigh most for themselves"));
    ps_buf_free(&out);
}
END_TEST

/* Arguments are bytes of a file: what is said of models stays text. */
START_TEST(models_that_were_gone_through_are_named)
{
    static const char manifest[] = HEAD
        "],\"arguments\":{\"top\":10,\"checkpoints\":[{\"model\":\"e1\",\"version\":\"\",\"rate\":"
        "0.5}"
        ",{\"model\":\"<b>\",\"rate\":2}]}}],\"rows\":[{\"row\":3,\"label\":0,\"prediction\":0}]}";
    ps_buf out;
    draw(manifest, &out);
    has(&out, "Over 2 models: e1 at rate 0.5, &lt;b&gt; at rate 2.");
    ps_buf_free(&out);
    as_text = true;
    draw(manifest, &out);
    as_text = false;
    has(&out,
        "influence on row 3, by tracin over 2 models: e1 at rate 0.5, <b> at rate 2: above 0");
    ps_buf_free(&out);
    draw(HEAD TAIL, &out);
    ck_assert(!strstr(ps_buf_cstr(&out), "Over "));
    ps_buf_free(&out);
}
END_TEST

START_TEST(what_is_in_them_is_drawn_where_it_is_shown)
{
    ps_buf out;
    draw(HEAD
         ",{\"name\":\"shown\",\"array\":\"s\"},{\"name\":\"shown_rows\",\"array\":\"r\"}" TAIL,
         &out);
    has(&out, "row 41, +2.5");
    ck_assert(!strstr(ps_buf_cstr(&out), "row 7,"));
    ps_buf_free(&out);
}
END_TEST

/* What a record says of them: a worker's name is bytes of others, too. */
START_TEST(pushes_are_named)
{
    ps_buf out;
    draw(HEAD ",{\"name\":\"pushes\",\"array\":\"p\"},{\"name\":\"workers\",\"array\":\"w\"}" TAIL,
         &out);
    has(&out, "These pushes lowered its loss");
    has(&out, "<td class=\"n\">8</td><td>&lt;w</td><td class=\"n\">3</td><td "
              "class=\"n\">32–63</td><td class=\"n\">+0.5</td>");
    ck_assert(!strstr(ps_buf_cstr(&out), "<td class=\"n\">42</td>")); /* there is none */
    ps_buf_free(&out);
}
END_TEST

/* psctl report JOB. */
START_TEST(a_terminal_has_who_helped_and_who_hurt)
{
    ps_buf out;
    as_text = true;
    draw(HEAD TAIL, &out);
    has(&out, "influence on row 3, by tracin: above 0 what lowered its loss");
    has(&out, "+2.5   41  </script><img onerror=x>");
    has(&out, "+0.5    7  boot");
    has(&out, "influence on row 60, by tracin: nobody helped or hurt");
    ps_buf_free(&out);
    draw(HEAD ",{\"name\":\"pushes\",\"array\":\"p\"},{\"name\":\"workers\",\"array\":\"w\"}" TAIL,
         &out);
    has(&out, "+0.5     8  <w      32-63");
    ps_buf_free(&out);
    as_text = false;
}
END_TEST

START_TEST(without_queries_there_is_nothing)
{
    ps_buf out;
    draw("{\"psd_explain\":1,\"results\":[{\"kind\":\"influence\",\"method\":\"tracin\",\"arrays\":"
         "[{\"name\":\"helping\",\"array\":\"h\"}]},{\"kind\":\"inside\",\"method\":\"x\","
         "\"arrays\":[{\"name\":\"helping\",\"array\":\"h\"},{\"name\":\"queries\",\"array\":"
         "\"a\"}]}],\"rows\":[]}",
         &out);
    ck_assert_uint_eq(out.len, 0);
    ps_buf_free(&out);
}
END_TEST

static const ps_check_case cases[] = {
    {&rows_of_training_are_named},
    {&models_that_were_gone_through_are_named},
    {&what_is_in_them_is_drawn_where_it_is_shown},
    {&pushes_are_named},
    {&a_terminal_has_who_helped_and_who_hurt},
    {&without_queries_there_is_nothing},
    {0},
};

int main(void)
{
    return ps_check_main("report/section_influence", cases);
}
