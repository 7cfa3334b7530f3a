/* sections of what is inside a model: weights, lens, heads, layers. */
#include "tests/unit/client/report/sections_fixture.h"

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

#define LENS(method, far)                                                                   \
    "{\"method\":\"" method "\",\"arrays\":[{\"name\":\"rank\",\"array\":\"r\"},{\"name\":" \
    "\"log_probability\",\"array\":\"r\"},{\"name\":\"top\",\"array\":\"t\"},{\"name\":"    \
    "\"top_log_probability\",\"array\":\"p\"},{\"name\":\"divergence\",\"array\":\"" far "\"}]}"
#define LENSES(plain, tuned)                                                                  \
    "{\"psd_explain\":1,\"lineage\":{\"model\":{\"name\":\"m\",\"tensors\":[]}},\"results\":" \
    "[" LENS("logit_lens", plain) "," LENS("tuned_lens",                                      \
                                           tuned) "],\"rows\":[{\"row\":3},{\"row\":60}]}"

static void read_again(fixture *f, const char *text)
{
    ps_explanation_free(&f->manifest);
    ck_ok(ps_explanation_read(ps_slice_str(text), &f->manifest));
}

/* Means of .5, NaN and 1, 3, and of NaN, NaN and 1, 3. */
START_TEST(two_lenses_stand_beside_each_other)
{
    fixture f;
    ps_buf out;
    setup(&f);
    read_again(&f, LENSES("w", "k"));
    draw(&f, "lens", &out);
    has(&out, "<h3>As it is</h3>");
    has(&out, "<h3>Translated by the tuned lens</h3>");
    has(&out, "<thead><tr><th></th><th>0</th><th>answer</th></tr></thead><tbody>\n"
              "<tr><th scope=\"row\">As it is</th><td>0.5</td><td>2</td></tr>\n"
              "<tr><th scope=\"row\">Translated by the tuned lens</th><td></td><td>2</td></tr>\n");
    has(&out, ", 0.5 from the answer");
    has_not(&out, "nan");
    ps_buf_free(&out);
    read_again(&f, LENSES("w", "v")); /* of another number of layers */
    draw(&f, "lens", &out);
    has_not(&out, "How far each layer");
    ps_buf_free(&out);
    teardown(&f);
}
END_TEST

START_TEST(a_lens_alone_has_no_other_beside_it)
{
    fixture f;
    ps_buf out;
    setup(&f);
    read_again(&f, LENSES("w", "k"));
    *f.manifest.results[0].method = 'x';
    draw(&f, "lens", &out);
    has(&out, "<h3>Translated by the tuned lens</h3>");
    has_not(&out, "As it is");
    has_not(&out, "How far each layer");
    has(&out, "A translator of each layer was trained");
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

/* Of effects -6, -.05 and two that are none the largest first; then by what heads add. */
START_TEST(heads_that_do_most_stand_first)
{
    static const char *const order[] = {
        "<td data-v=\"1\">0.1</td><td class=\"n\" data-v=\"-6\">-6</td><td class=\"n\" "
        "data-v=\"0.5\">+0.5</td><td>The token before</td><td class=\"n\" data-v=\"1\">1.00</td>",
        "<td data-v=\"0\">0.0</td><td class=\"n\" data-v=\"-0.05\">-0.05</td>",
        "<td data-v=\"2\">1.0</td><td class=\"n\" data-v=\"-1e99\"></td>",
        "<td data-v=\"3\">1.1</td><td class=\"n\" data-v=\"-1e99\"></td><td class=\"n\" "
        "data-v=\"-1e99\"></td><td>Match + 1: induction</td><td class=\"n\" "
        "data-v=\"3\">3.00</td>"};
    fixture f;
    ps_buf out;
    setup(&f);
    draw(&f, "attention", &out);
    const char *at = strstr(ps_buf_cstr(&out), "Heads, most first");
    for (size_t i = 0; i < sizeof order / sizeof *order; i++)
        ck_assert_msg(at && (at = strstr(at, order[i])), "%s in\n%.3000s", order[i],
                      ps_buf_cstr(&out));
    ps_buf_free(&out);
    for (size_t i = 0; i < f.manifest.n_results; i++)
        if (!strcmp(f.manifest.results[i].method, "head_ablation"))
            *f.manifest.results[i].method = 'x';
    draw(&f, "attention", &out);
    ck_assert(!strstr(ps_buf_cstr(&out), "Lost without it"));
    ps_buf_free(&out);
    teardown(&f);
}
END_TEST

/* 2.3, .945, .4555 and .5 beside 2.3: a place behind the point tells them apart. */
START_TEST(what_a_block_adds_is_as_wide_as_its_cell)
{
    fixture f;
    ps_buf out;
    setup(&f);
    for (size_t i = 0; i < f.manifest.n_results; i++)
        if (!strcmp(f.manifest.results[i].method, "blocks"))
            for (size_t k = 0; k < f.manifest.results[i].n_arrays; k++)
                *f.manifest.results[i].arrays[k].array = 'l';
    draw(&f, "parts", &out);
    has(&out, "<title>block 1\n+0.945</title>");
    has(&out, ">+0.9</text></g>");
    has_not(&out, ">+0.95</text>");
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
    has(&out, "x=\"310.0\" y=\"176\">1</text>\n"); /* layers are counted, not 1.0 */
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

static const ps_check_case cases[] = {
    {&weights_have_a_line_a_tensor},
    {&a_lens_has_a_cell_a_layer},
    {&two_lenses_stand_beside_each_other},
    {&a_lens_alone_has_no_other_beside_it},
    {&heads_have_a_cell_each_and_means_are_over_rows},
    {&heads_that_do_most_stand_first},
    {&what_a_block_adds_is_as_wide_as_its_cell},
    {&representation_is_by_layer},
    {&labels_are_told_apart},
    {0},
};

int main(void)
{
    return ps_check_main("report/sections_inside", cases);
}
