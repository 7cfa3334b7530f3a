/* embed_spec: texts as lists of tokens, what is none, and models that embed them. */
#include "tests/unit/common/conf/job_rig.h"

#define JOB(embed) "kind: embed\nname: a\nmodel_name: m\nembed: {" embed "}\n"
#define BERT                                                                                 \
    "{architecture: bert, vocab_size: 9, context_length: 4, hidden_size: 8, num_layers: 1, " \
    "num_heads: 2}"
#define GPT2                                                                                 \
    "{architecture: gpt2, vocab_size: 9, context_length: 4, hidden_size: 8, num_layers: 1, " \
    "num_heads: 2}"

static ps_spec_model *model(const char *text)
{
    ps_spec_model *m = NULL;
    ck_ok(ps_spec_model_parse(ps_slice_str(text), "model", &m));
    return m;
}

START_TEST(texts_are_lists_of_tokens)
{
    ps_job_spec *s = parse(JOB("texts: ['1 8 0', '7']"));
    ps_spec_model *m = model(BERT);
    int32_t tokens[4];
    size_t n = 0;
    ck_assert_uint_eq(s->embed->pool, PS_EMBED_POOL_MODEL);
    ck_assert(s->embed->normalise);
    ck_ok(ps_spec_embed_match(s->embed, m));
    ck_ok(ps_spec_embed_tokens(s->embed, 0, m, tokens, &n));
    ck_assert_uint_eq(n, 3);
    ck_assert_int_eq(tokens[0], 1);
    ck_assert_int_eq(tokens[1], 8);
    ck_assert_int_eq(tokens[2], 0);
    ps_job_spec_free(&s);
    s = parse(JOB("texts: ['1'], pool: cls, normalise: false"));
    ck_assert_uint_eq(s->embed->pool, PS_EMBED_POOL_CLS);
    ck_assert(!s->embed->normalise);
    ps_job_spec_free(&s);
    ps_spec_model_free(&m);
}
END_TEST

static void no_text(const char *job, const char *config, const char *why)
{
    ps_job_spec *s = parse(job);
    ps_spec_model *m = model(config);
    ck_assert_int_eq(ps_spec_embed_match(s->embed, m), PS_INVALID_ARGUMENT);
    ck_assert_msg(strstr(ps_error_message(), why), "%s is not: %s", ps_error_message(), why);
    ps_job_spec_free(&s);
    ps_spec_model_free(&m);
}

START_TEST(what_is_no_list_of_this_models_tokens_is_told)
{
    static const char numbers[] = "embed.texts[1]: token numbers are required here";
    no_text(JOB("texts: ['1', 'hello']"), BERT, numbers);
    no_text(JOB("texts: ['1', '1  2']"), BERT, numbers);
    no_text(JOB("texts: ['1', ' 1']"), BERT, numbers);
    no_text(JOB("texts: ['1', '-1']"), BERT, numbers);
    no_text(JOB("texts: ['1', '1234567890']"), BERT, numbers);
    no_text(JOB("texts: ['1 ']"), BERT, "embed.texts[0]: it ends with a space");
    no_text(JOB("texts: ['9']"), BERT, "embed.texts[0]: token 9, the vocabulary has 9");
    no_text(JOB("texts: ['1 2 3 4 5']"), BERT,
            "embed.texts[0]: more tokens than the model's context, 4");
    no_text(JOB("texts: ['1']"), GPT2, "architecture gpt2 embeds no texts");
}
END_TEST

START_TEST(what_the_section_cannot_say_is_told)
{
    refuses(JOB("texts: []"), "job.yaml:4: embed.texts: ");
    refuses(JOB("texts: ['']"), "job.yaml:4: embed.texts[0]: ");
    refuses(JOB("pool: mean"), "job.yaml:4: embed.texts: ");
    refuses(JOB("texts: ['1'], pool: max"), "job.yaml:4: embed.pool: ");
    refuses(JOB("texts: ['1'], tokens: 1"), "job.yaml:4: embed.tokens: unknown key");
    refuses(TRAIN "embed: {texts: ['1']}\n", "job.yaml:10: embed: ");
}
END_TEST

static const ps_check_case cases[] = {
    {&texts_are_lists_of_tokens},
    {&what_is_no_list_of_this_models_tokens_is_told},
    {&what_the_section_cannot_say_is_told},
    {0},
};

int main(void)
{
    return ps_check_main("conf/embed_spec", cases);
}
