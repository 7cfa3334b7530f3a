/* sections: what methods have left, as HTML: figures that are there, and names that stay names.
 * Those of what is inside a model are in test_sections_inside.c. */
#include "tests/unit/client/report/sections_fixture.h"

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
    has_not(&out, "the same in both");
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

/* Changes of 7 and 0. */
START_TEST(tensors_that_are_the_same_are_counted_and_not_listed)
{
    fixture f;
    ps_buf out;
    setup(&f);
    for (size_t i = 0; i < f.manifest.n_results; i++) {
        const ps_explanation_result *result = &f.manifest.results[i];
        if (!strcmp(result->method, "weight_change"))
            *result->arrays[0].array = 'c';
        if (!strcmp(result->method, "loss_path"))
            *result->arrays[0].array = 'x';
    }
    draw(&f, "difference", &out);
    has(&out, "<code>a&lt;b&gt;</code></td><td class=\"n\" data-v=\"700\">");
    has_not(&out, "<code>c</code>");
    has(&out, ">1 of 2 tensors are the same in both.</p>");
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
    {&quality_is_a_curve_beside_what_chance_does},
    {&lineage_goes_up_and_down},
    {&difference_is_by_tensor_and_by_row},
    {&tensors_that_are_the_same_are_counted_and_not_listed},
    {&what_does_not_fit_breaks_nothing},
    {&what_is_too_wide_is_not_drawn},
    {&what_was_not_asked_for_is_not_there},
    {0},
};

int main(void)
{
    return ps_check_main("report/sections", cases);
}
