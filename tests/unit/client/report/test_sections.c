/* sections: what methods have left, as HTML: figures that are there, and names that stay names. */
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
                   likely[8] = {-0.1F, -3, -0.5F, -1, 0, -9, NAN, NAN};
enum { WIDE = 4001 }; /* one more than is drawn */
static const float wide[2 * WIDE] = {1, 2, 3};
static const ps_safetensors_tensor tensors[] = {
    {.name = "a", .dtype = PS_SAFETENSORS_F32, .n_dims = 5, .shape = {2, 1, 2, 1, 1}},
    {.name = "c", .dtype = PS_SAFETENSORS_F32, .n_dims = 2, .shape = {2, 2}},
    {.name = "d", .dtype = PS_SAFETENSORS_F32, .n_dims = 2, .shape = {2, 3}},
    {.name = "e", .dtype = PS_SAFETENSORS_F32, .n_dims = 1, .shape = {2}},
    {.name = "h", .dtype = PS_SAFETENSORS_F32, .n_dims = 2, .shape = {2, 4}},
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
              {losses, sizeof losses},
              {likely, sizeof likely},
              {rank, sizeof rank},
              {summary, sizeof summary},
              {top, sizeof top},
              {singular, sizeof singular},
              {statistics, sizeof statistics},
              {wide, sizeof wide}};
enum { ARRAYS = sizeof tensors / sizeof *tensors };

static ps_status write_file(void *state, const void *data, size_t len)
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

static const ps_report_section *section_of(const char *id)
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

static void setup(fixture *f)
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

static void teardown(fixture *f)
{
    ps_room_clear(&f->report.room);
    ps_explanation_free(&f->manifest);
    ps_safetensors_free(&f->file);
    ps_buf_free(&f->bytes);
}

static void draw(fixture *f, const char *id, ps_buf *out)
{
    *out = PS_BUF_EMPTY;
    ck_assert(section_of(id)->present(&f->report));
    section_of(id)->draw(&f->report, out);
    ck_assert_msg(!strstr(ps_buf_cstr(out), "<img"), "a name became markup");
}

static void has(ps_buf *out, const char *text)
{
    ck_assert_msg(strstr(ps_buf_cstr(out), text) != NULL, "%s is not in\n%.2000s", text,
                  ps_buf_cstr(out));
}

static void has_not(ps_buf *out, const char *text)
{
    ck_assert_msg(!strstr(ps_buf_cstr(out), text), "%s is in\n%.2000s", text, ps_buf_cstr(out));
}

START_TEST(behaviour_counts_and_names_the_worst)
{
    fixture f;
    ps_buf out;
    setup(&f);
    draw(&f, "behaviour", &out);
    has(&out, "label boot, answered boot\n11 rows, 100.0 %");
    has(&out, "label &lt;/script&gt;&lt;img onerror=x&gt;, answered boot\n2 rows, 22.2 %");
    has(&out, ">0.9000</dd>");
    const char *worst = strstr(ps_buf_cstr(&out), "Where it is most wrong");
    ck_assert_ptr_nonnull(worst);
    const char *first = strstr(worst, "<td>60</td>"), *second = strstr(worst, "<td>3</td>");
    ck_assert(first && second && first < second);
    has(&out, "4.500");
    ps_buf_free(&out);
    teardown(&f);
}
END_TEST

START_TEST(weights_have_a_line_a_tensor)
{
    fixture f;
    ps_buf out;
    setup(&f);
    draw(&f, "weights", &out);
    has(&out, "a&lt;b&gt;");
    has(&out, "data-v=\"0.5\"");
    has_not(&out, "nan");
    ps_buf_free(&out);
    teardown(&f);
}
END_TEST

START_TEST(a_lens_has_a_cell_a_layer)
{
    fixture f;
    ps_buf out;
    setup(&f);
    draw(&f, "lens", &out);
    has(&out, "<td class=\"q14\" data-cell=\"0,0\" title=\"before block 0\n"
              "&lt;/script&gt;&lt;img onerror=x&gt; 90.5 %\nboot 5.0 %\n");
    has(&out, "\">&lt;/script&gt;&lt;img onerror=x&gt;</td>");
    has(&out, "<td class=\"q16\" data-cell=\"1,0\" title=\"before block 0\nboot 100.0 %");
    has(&out, "the answer\n&lt;/script&gt;");
    has_not(&out, "nan");
    ps_buf_free(&out);
    teardown(&f);
}
END_TEST

START_TEST(heads_have_a_cell_each_and_means_are_over_rows)
{
    fixture f;
    ps_buf out;
    setup(&f);
    draw(&f, "attention", &out);
    has(&out, "<title>layer 0, head 0\n-0.05</title>"); /* of -0.1 and 0 */
    has(&out, "<title>layer 0, head 1\n-6</title>");
    has(&out, "<title>layer 1, head 0\n0.5</title>"); /* how far */
    has(&out, "<title>layer 0, head 1</title><image x=\"76\"");
    has_not(&out, "nan");
    ps_buf_free(&out);
    draw(&f, "parts", &out);
    has(&out, "<title>layer 0, head 1\n+1</title>");
    has(&out, "<title>layer 1, mlp\n+1</title>");
    has(&out, "the token +0.9<br>");
    has(&out, "all heads +2<br>all MLPs +3<br>");
    has(&out, "5 mlp\nits share +2\nlost without it alone +0.5<");
    has_not(&out, "nan");
    ps_buf_free(&out);
    teardown(&f);
}
END_TEST

START_TEST(quality_is_a_curve_beside_what_chance_does)
{
    fixture f;
    ps_buf out;
    setup(&f);
    draw(&f, "quality", &out);
    has(&out, "<h3>Deletion, &lt;/script&gt;&lt;img&gt;</h3>");
    /* of 4, 1, 0 and 10, 8, 6: each from what the row has, 1, to what the baseline has, 0 */
    has(&out, "in the order of the values\nfeatures as in the baseline, %: 0\n1<");
    has(&out, "in the order of the values\nfeatures as in the baseline, %: 50\n0.375<");
    has(&out, "in the order of the values\nfeatures as in the baseline, %: 100\n0<");
    has(&out, "<td>random</td><td class=\"n\" data-v=\"0.6\">0.6</td>");
    has(&out, "<td>infidelity</td><td class=\"n\" data-v=\"2.66667\">2.667</td>");
    has(&out, ": 1\n4.5</title>"); /* randomisation's second step: of 1 and 8 */
    has_not(&out, "nan");
    ps_buf_free(&out);
    teardown(&f);
}
END_TEST

START_TEST(representation_is_by_layer)
{
    fixture f;
    ps_buf out;
    setup(&f);
    draw(&f, "features", &out);
    has(&out, "<dt>Variance explained</dt>");
    has(&out, "<b>row 60</b>");
    ps_buf_free(&out);
    draw(&f, "representation", &out);
    has(&out, "mean\nlayer: 0\n0.5<"); /* of channels 0 and 1 */
    has(&out, "mean\nlayer: 1\n1<");   /* the other has a NaN */
    has(&out, "deviation\nlayer: 1\n0<");
    has(&out, "<td class=\"n\">1</td><td class=\"n\">1</td><td class=\"n\">1</td></tr>");
    has(&out, "layer 0, layer 1\n1<");
    has_not(&out, "layer 1, layer 0\n");
    has(&out, "label, on rows kept apart\nlayer: 1\n0.7<");
    has(&out, "labels dealt out by chance\nlayer: 1\n1<");
    has(&out, "<h3>Layer 0: 50 %, 100 %</h3>");
    has(&out, "<title>&lt;/script&gt;&lt;img onerror=x&gt;</title></path>");
    has(&out, "<td class=\"n\">2</td><td class=\"n\" data-v=\"-0.3\">-0.3</td><td class=\"n\" "
              "data-v=\"-2\">-2</td>"); /* of (-0.1, -3) and (-0.5, -1) */
    has_not(&out, "nan");
    ps_buf_free(&out);
    teardown(&f);
}
END_TEST

/* Two labels have two colours and two shapes; more than are told apart have one. */
START_TEST(labels_are_told_apart)
{
    fixture f;
    ps_buf out;
    setup(&f);
    f.manifest.rows[1].label = 1;
    draw(&f, "representation", &out);
    has(&out, "fill=\"#0072b2\" d=\"M6 6m-3 0a");
    has(&out, "fill=\"#e69f00\" d=\"M6 6m-2.7-2.7h");
    has(&out, "<title>boot</title></path>");
    ps_buf_free(&out);
    f.manifest.rows[0].label = f.manifest.rows[1].label = -1;
    draw(&f, "representation", &out);
    has(&out, "<title>rows</title></path>");
    ps_buf_free(&out);
    teardown(&f);
}
END_TEST

static char empty[] = "", grown[] = "grown", first_version[] = "v1", second_version[] = "v2";

static Psd__V1__Model stored_model(char *name, char *parent, char *parent_version, char *version)
{
    Psd__V1__Model model = PSD__V1__MODEL__INIT;
    model.name = name;
    model.parent = parent;
    model.parent_version = parent_version;
    model.version = version;
    model.forms = empty;
    model.job_id = *parent ? 4 : 0;
    return model;
}

START_TEST(lineage_goes_up_and_down)
{
    fixture f;
    ps_buf out;
    setup(&f);
    Psd__V1__Model root = stored_model(hostile, empty, empty, second_version),
                   own = stored_model(plain, hostile, first_version, first_version),
                   child = stored_model(grown, plain, first_version, first_version);
    Psd__V1__Model *all[] = {&root, &own, &child};
    f.report.model = &own;
    f.report.models = all;
    f.report.n_models = 3;
    f.report.command = "psctl report 7";
    f.report.job_file = "kind: explain\nname: </code><img>\n";
    draw(&f, "lineage", &out);
    const char *text = ps_buf_cstr(&out);
    const char *above =
        strstr(text, "<li>&lt;/script&gt;&lt;img onerror=x&gt; <small>imported</small>");
    const char *here =
        strstr(text, "<li><b>boot</b> <small>by job 4</small> <small>of an older &lt;/script");
    const char *below = strstr(text, "<li>grown");
    ck_assert(above && here && below && above < here && here < below);
    has(&out, "kind: explain\nname: &lt;/code&gt;&lt;img&gt;\n</code>");
    has(&out, "<code>psctl report 7</code>");
    ps_buf_free(&out);
    f.report.n_models = 2;
    f.report.models = all + 1; /* its parent is gone */
    draw(&f, "lineage", &out);
    has(&out, "onerror=x&gt; <small>not stored any more</small>");
    ps_buf_free(&out);
    root.parent = grown; /* a ring */
    f.report.n_models = 3;
    f.report.models = all;
    draw(&f, "lineage", &out);
    has(&out, "<b>boot</b>");
    size_t opened = 0, closed = 0;
    for (const char *at = ps_buf_cstr(&out); (at = strstr(at, "<ul")); at++)
        opened++;
    for (const char *at = ps_buf_cstr(&out); (at = strstr(at, "</ul")); at++)
        closed++;
    ck_assert_uint_eq(opened, closed);
    ps_buf_free(&out);
    f.report.model = NULL; /* it is gone */
    f.report.job_file = NULL;
    draw(&f, "lineage", &out);
    has_not(&out, "boot");
    has_not(&out, "job.yaml");
    ps_buf_free(&out);
    teardown(&f);
}
END_TEST

START_TEST(difference_is_by_tensor_and_by_row)
{
    fixture f;
    ps_buf out;
    setup(&f);
    ps_free(&f.manifest.other);
    f.manifest.other = ps_strdup("<img>");
    draw(&f, "difference", &out);
    has(&out, "<b>&lt;img&gt;</b>");
    has(&out, "<dt>The other&#39;s</dt><dd>0.25</dd>");
    has(&out, "<code>a&lt;b&gt;</code></td><td class=\"n\" data-v=\"0.5\">+0.5</td>");
    has(&out, "data-v=\"50\">50 %</td>");
    has(&out, "x=\"60.0\" width=\"42.9\""); /* 0.5 of 0.7, to the right */
    const char *worst = strstr(ps_buf_cstr(&out), "<td class=\"n\">60</td>");
    ck_assert(worst && strstr(worst, "<td class=\"n\">3</td>"));
    has(&out, "How alike a layer");
    has(&out, "Each layer beside each of the other");
    worst = strstr(ps_buf_cstr(&out), "Whose explanation changed most");
    ck_assert(worst && (worst = strstr(worst, "<td class=\"n\">60</td>")));
    ck_assert(strstr(worst, "data-v=\"4.5\">450 %") && strstr(worst, "<td class=\"n\">3</td>"));
    has_not(&out, "nan");
    ps_buf_free(&out);
    teardown(&f);
}
END_TEST

/* Arrays of other shapes than a method leaves: whatever is drawn is of what is there. */
START_TEST(what_does_not_fit_breaks_nothing)
{
    fixture f;
    ps_buf out;
    setup(&f);
    for (size_t i = 0; i < f.manifest.n_results; i++)
        for (size_t k = 0; k < f.manifest.results[i].n_arrays; k++) {
            char *array = f.manifest.results[i].arrays[k].array;
            *array = *array == 'c'   ? 'v'
                     : *array == 's' ? 'c'
                     : *array == 'l' ? 's'
                     : *array == 'r' ? 't'
                     : *array == 'd' ? 's'
                     : *array == 'e' ? 't'
                                     : 'v';
        }
    for (size_t i = 0; i < 9; i++) {
        draw(&f,
             (const char *[]){"lens", "attention", "parts", "quality", "representation",
                              "difference", "features", "behaviour", "weights"}[i],
             &out);
        has_not(&out, "nan");
        ps_buf_free(&out);
    }
    teardown(&f);
}
END_TEST

/* What is too wide is not built before it is asked whether there is room. */
START_TEST(what_is_too_wide_is_not_drawn)
{
    fixture f;
    ps_buf out;
    setup(&f);
    f.report.room = ps_room_of(SIZE_MAX);
    for (size_t i = 0; i < f.manifest.n_results; i++)
        for (size_t k = 0; k < f.manifest.results[i].n_arrays; k++)
            if (strchr("rvht", *f.manifest.results[i].arrays[k].array))
                *f.manifest.results[i].arrays[k].array = 'z';
    draw(&f, "lens", &out);
    has_not(&out, "<th>");
    ck_assert_uint_eq(f.report.room.n_notes, 1);
    ck_assert_str_eq(f.report.room.notes[0], "the lens, of 4001 layers");
    ps_buf_free(&out);
    draw(&f, "weights", &out);
    ck_assert_uint_lt(out.len, 4096);
    ps_buf_free(&out);
    teardown(&f);
}
END_TEST

START_TEST(what_was_not_asked_for_is_not_there)
{
    fixture f;
    setup(&f);
    for (size_t i = 0; i < f.manifest.n_results; i++)
        *f.manifest.results[i].method = 'x';
    ck_assert(!section_of("behaviour")->present(&f.report));
    ck_assert(!section_of("weights")->present(&f.report));
    ck_assert(!section_of("lens")->present(&f.report));
    ck_assert(!section_of("representation")->present(&f.report));
    ck_assert(!section_of("difference")->present(&f.report));
    ck_assert(!section_of("quality")->present(&f.report));
    teardown(&f);
}
END_TEST

static const ps_check_case cases[] = {
    {&behaviour_counts_and_names_the_worst},
    {&weights_have_a_line_a_tensor},
    {&a_lens_has_a_cell_a_layer},
    {&heads_have_a_cell_each_and_means_are_over_rows},
    {&quality_is_a_curve_beside_what_chance_does},
    {&representation_is_by_layer},
    {&labels_are_told_apart},
    {&lineage_goes_up_and_down},
    {&difference_is_by_tensor_and_by_row},
    {&what_does_not_fit_breaks_nothing},
    {&what_is_too_wide_is_not_drawn},
    {&what_was_not_asked_for_is_not_there},
    {0},
};

int main(void)
{
    return ps_check_main("report/sections", cases);
}
