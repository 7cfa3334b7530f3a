/* hf_texts: which classes a config.json says that there are, as transformers has it, and how
 * sentence-transformers says that texts are embedded. */
#include "common/model/hf_texts.h"

#include "common/base/mem.h"
#include "common/model/hf_sentence.h"
#include "tests/lib/check_main.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CLASSIFIES "\"architectures\":[\"BertForSequenceClassification\"]"

static ps_spec_model *bert(void)
{
    static const char text[] =
        "{architecture: bert, vocab_size: 9, context_length: 16, hidden_size: 8, num_layers: 1, "
        "num_heads: 2}";
    ps_spec_model *m = NULL;
    ck_ok(ps_spec_model_parse(ps_slice_str(text), "model", &m));
    return m;
}

static void says(const char *json, int64_t classes, const char *second)
{
    ps_spec_model *m = bert();
    ck_ok(ps_hf_texts_read(ps_slice_str(json), m));
    ck_assert_int_eq(m->choices.num_classes, classes);
    ck_assert_uint_eq(m->n_classes, second ? (size_t)classes : 0);
    if (second)
        ck_assert_str_eq(m->classes[1], second);
    ps_spec_model_free(&m);
}

START_TEST(classes_are_those_of_id2label)
{
    says("{\"architectures\":[\"BertModel\"],\"id2label\":{\"0\":\"a\",\"1\":\"b\"}}", 0, NULL);
    says("{\"id2label\":{\"0\":\"a\",\"1\":\"b\"}}", 0, NULL);
    says("{" CLASSIFIES "}", 2, NULL); /* as many as transformers takes */
    says("{" CLASSIFIES ",\"num_labels\":5}", 5, NULL);
    says("{\"id2label\":{\"0\":\"a\",\"1\":\"b\",\"2\":\"c\"}," CLASSIFIES "}", 3, "b");
    says("{\"id2label\":{\"0\":\"LABEL_0\",\"1\":\"LABEL_1\"}," CLASSIFIES "}", 2, NULL);
    says("{\"id2label\":null," CLASSIFIES "}", 2, NULL);
    says("{\"id2label\":{\"2\":\"c\",\"0\":\"a\",\"1\":\"b\"}," CLASSIFIES "}", 3, "b");
    says("{\"problem_type\":null," CLASSIFIES "}", 2, NULL);
    says("{\"problem_type\":\"single_label_classification\"," CLASSIFIES "}", 2, NULL);
    says("{\"problem_type\":\"regression\",\"architectures\":[\"BertModel\"]}", 0, NULL);
}
END_TEST

static void refuses(const char *json, const char *why)
{
    ps_spec_model *m = bert();
    ck_assert_int_eq(ps_hf_texts_read(ps_slice_str(json), m), PS_INVALID_ARGUMENT);
    ck_assert_msg(strstr(ps_error_message(), why), "%s is not: %s", ps_error_message(), why);
    ps_spec_model_free(&m);
}

START_TEST(what_is_no_list_of_classes_is_told)
{
    refuses("{" CLASSIFIES ",\"id2label\":{\"0\":\"a\"}}", "num_labels is 1; only models that");
    refuses("{" CLASSIFIES ",\"num_labels\":1}", "none whose answer is a number (regression)");
    refuses("{" CLASSIFIES ",\"num_labels\":-3}", "num_labels must be a number up to 4096");
    refuses("{\"id2label\":{\"0\":\"a\",\"1\":\"a\"}," CLASSIFIES "}", "'a' is there twice");
    refuses("{\"id2label\":{\"1\":\"a\"}," CLASSIFIES "}",
            "id2label: class 0 is missing; they are");
    refuses("{\"id2label\":{\"4096\":\"a\"}," CLASSIFIES "}", "key 4096; classes are counted");
    refuses("{\"id2label\":{\"-1\":\"a\"}," CLASSIFIES "}", "key -1; classes are counted");
    refuses("{\"id2label\":{\"0\":\"a\",\"0\":\"b\"}," CLASSIFIES "}", "class 0 is there twice");
    refuses("{\"id2label\":{\"0\":\"a\",\"2\":\"b\"}," CLASSIFIES "}", "class 1 is missing");
    refuses("{\"problem_type\":\"multi_label_classification\"," CLASSIFIES "}",
            "of one class each");
    refuses("{\"problem_type\":\"regression\"," CLASSIFIES ",\"num_labels\":3}",
            "of one class each");
    refuses("{\"problem_type\":3}", "problem_type must be a text");
    refuses("{\"id2label\":{\"\":\"a\"}," CLASSIFIES "}", "classes are counted from 0 on");
    refuses("{\"id2label\":{\"0\":\"\"}," CLASSIFIES "}", "class 0 has no name of 1 to 255 bytes");
    refuses("{\"id2label\":{\"0\":7}," CLASSIFIES "}", "class 0 has no name of 1 to 255 bytes");
    refuses("{\"id2label\":[\"a\",\"b\"]," CLASSIFIES "}", "id2label must be an object");
    refuses("{\"architectures\":[7]}", "architectures has no value that is known here");
}
END_TEST

/* ---- sentence-transformers ---- */

static void put(const char *folder, const char *name, const char *text)
{
    if (!text)
        return;
    char *path = ps_asprintf("%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    (void)fputs(text, file);
    (void)fclose(file);
    ps_free(&path);
}

typedef struct files {
    const char *pooling, *sentence, *modules, *words; /* NULL: is not there */
} files;

static void beside(files f, unsigned pool, int64_t length, const char *remark)
{
    char folder[] = "/tmp/psd-hf-texts-XXXXXX";
    ck_assert_ptr_nonnull(mkdtemp(folder));
    char *inner = ps_asprintf("%s/1_Pooling", folder);
    ck_assert_int_eq(mkdir(inner, 0700), 0);
    put(folder, "1_Pooling/config.json", f.pooling);
    put(folder, "sentence_bert_config.json", f.sentence);
    put(folder, "modules.json", f.modules);
    put(folder, "tokenizer_config.json", f.words);
    ps_spec_model *m = bert();
    ps_buf remarks = PS_BUF_EMPTY;
    ck_ok(ps_hf_sentence_read(&ps_disk_system, folder, m, &remarks));
    ck_assert_uint_eq(m->pooling, pool);
    ck_assert_int_eq(m->max_text_length, length);
    ck_assert_int_eq(remarks.len > 0, remark != NULL);
    if (remark)
        ck_assert_ptr_nonnull(strstr(ps_buf_cstr(&remarks), remark));
    ps_buf_free(&remarks);
    ps_spec_model_free(&m);
    char *paths[] = {
        ps_asprintf("%s/config.json", inner), ps_asprintf("%s/sentence_bert_config.json", folder),
        ps_asprintf("%s/modules.json", folder), ps_asprintf("%s/tokenizer_config.json", folder)};
    for (size_t i = 0; i < 4; i++) {
        (void)unlink(paths[i]);
        ps_free(&paths[i]);
    }
    (void)rmdir(inner);
    (void)rmdir(folder);
    ps_free(&inner);
}

START_TEST(files_beside_say_how_texts_are_embedded)
{
    static const char mean[] = "{\"word_embedding_dimension\":8,\"pooling_mode_cls_token\":false,"
                               "\"pooling_mode_mean_tokens\":true,\"include_prompt\":true}";
    static const char cls[] =
        "{\"pooling_mode_cls_token\":true,\"pooling_mode_mean_tokens\":false}";
    static const char most[] = "{\"pooling_mode_max_tokens\":true}";
    beside((files){mean, "{\"max_seq_length\":12,\"do_lower_case\":false}"}, PS_SPEC_POOLING_MEAN,
           12, NULL);
    beside((files){cls, "{\"max_seq_length\":16}"}, PS_SPEC_POOLING_CLS, 0, NULL);
    beside((files){most, "{\"max_seq_length\":null}"}, PS_SPEC_POOLING_MEAN, 0,
           "pools in a way that psd");
    beside((files){NULL}, PS_SPEC_POOLING_MEAN, 0, NULL);
}
END_TEST

/* Version 6.2 of sentence-transformers has saved such ones. */
START_TEST(so_do_those_of_version_6)
{
    static const char of_words[] = "{\"model_max_length\":9}",
                      no_bound[] = "{\"model_max_length\":1000000000000000019884624838656}";
    beside((files){"{\"embedding_dimension\":8,\"pooling_mode\":\"cls\"}", "{}", NULL, of_words},
           PS_SPEC_POOLING_CLS, 9, NULL);
    beside((files){"{\"pooling_mode\":[\"mean\"]}", "{\"max_seq_length\":5}", NULL, of_words},
           PS_SPEC_POOLING_MEAN, 5, NULL);
    beside((files){"{\"pooling_mode\":[\"cls\",\"mean\"]}", NULL, NULL, no_bound},
           PS_SPEC_POOLING_MEAN, 0, "pools in a way that psd");
    beside((files){"{\"pooling_mode\":\"lasttoken\"}"}, PS_SPEC_POOLING_MEAN, 0,
           "pools in a way that psd");
    beside((files){.modules = "[{\"path\":\"\",\"type\":\"a.b.Transformer\"},"
                              "{\"path\":\"1_Pooling\",\"type\":\"a.Pooling\"},"
                              "{\"idx\":2,\"path\":\"2_Normalize\",\"type\":\"Normalize\"}]"},
           PS_SPEC_POOLING_MEAN, 0, NULL);
    beside((files){.modules = "[{\"path\":\"\",\"type\":\"a.b.Transformer\"},"
                              "{\"path\":\"2_Dense\",\"type\":\"a.Dense\"}]"},
           PS_SPEC_POOLING_MEAN, 0, "modules.json has a module that psd does not, Dense: ");
    beside((files){.modules = "[{\"path\":\"2_Pooling\",\"type\":\"a.Pooling\"}]"},
           PS_SPEC_POOLING_MEAN, 0, "Pooling of another folder than 1_Pooling");
}
END_TEST

/* ---- and back ---- */

typedef struct made {
    const char *more; /* of the section */
    const char *kept; /* a file of what came, */
    const char *text; /* or none; NULL: none came */
    const char *name, *want;
} made;

/* want NULL: what came stays, if any did. */
static const made back[] = {
    {"", NULL, NULL, "1_Pooling/config.json", NULL}, /* sentence-transformers takes the mean */
    {", pooling: cls", NULL, NULL, "1_Pooling/config.json",
     "{\"word_embedding_dimension\":8,\"pooling_mode_cls_token\":true,"
     "\"pooling_mode_mean_tokens\":false,\"pooling_mode_max_tokens\":false,"
     "\"pooling_mode_mean_sqrt_len_tokens\":false}\n"},
    {", max_text_length: 9", NULL, NULL, "sentence_bert_config.json",
     "{\"max_seq_length\":9,\"do_lower_case\":false}\n"},
    {", max_text_length: 9, num_classes: 2", NULL, NULL, "sentence_bert_config.json", NULL},
    {", pooling: cls", NULL, NULL, "config_sentence_transformers.json", NULL},
    {", pooling: cls", "1_Pooling/config.json", "{\"pooling_mode\":\"cls\"}",
     "1_Pooling/config.json", NULL},
    {"", "1_Pooling/config.json", "{\"pooling_mode\":\"lasttoken\"}", "1_Pooling/config.json",
     NULL},
    {"", "1_Pooling/config.json", "{\"pooling_mode\":\"cls\"}", "1_Pooling/config.json",
     "{\"word_embedding_dimension\":8,\"pooling_mode_cls_token\":false,"
     "\"pooling_mode_mean_tokens\":true,\"pooling_mode_max_tokens\":false,"
     "\"pooling_mode_mean_sqrt_len_tokens\":false}\n"},
    {"", "sentence_bert_config.json", "{\"max_seq_length\":9}", "sentence_bert_config.json",
     "{\"max_seq_length\":16,\"do_lower_case\":false}\n"},
    {"", "sentence_bert_config.json", "{\"max_seq_length\":16}", "sentence_bert_config.json", NULL},
    {"", "modules.json", "[{\"type\":\"a.Normalize\",\"path\":\"\"}]", "modules.json", NULL},
    {"", "modules.json", "[{\"type\":\"a.Dense\",\"path\":\"\"}]", "modules.json",
     "[{\"idx\":0,\"name\":\"0\",\"path\":\"\","
     "\"type\":\"sentence_transformers.models.Transformer\"},"
     "{\"idx\":1,\"name\":\"1\",\"path\":\"1_Pooling\","
     "\"type\":\"sentence_transformers.models.Pooling\"},"
     "{\"idx\":2,\"name\":\"2\",\"path\":\"2_Normalize\","
     "\"type\":\"sentence_transformers.models.Normalize\"}]\n"},
    {"", "modules.json", "{", "1_Pooling/config.json", /* hostile; it stands for such files */
     "{\"word_embedding_dimension\":8,\"pooling_mode_cls_token\":false,"
     "\"pooling_mode_mean_tokens\":true,\"pooling_mode_max_tokens\":false,"
     "\"pooling_mode_mean_sqrt_len_tokens\":false}\n"},
};

START_TEST(files_go_out_as_the_model_says)
{
    const made *row = &back[_i];
    char *section = ps_asprintf("{architecture: bert, vocab_size: 9, context_length: 16, "
                                "hidden_size: 8, num_layers: 1, num_heads: 2%s}",
                                row->more);
    ps_spec_model *m = NULL;
    ps_buf out = PS_BUF_EMPTY;
    ps_safetensors_pair kept = {row->kept, row->text};
    const ps_safetensors file = {.metadata = &kept, .n_metadata = row->kept != NULL};
    ck_ok(ps_spec_model_parse(ps_slice_str(section), "model", &m));
    ck_assert(ps_hf_sentence_make(m, &file, row->name, &out) == (row->want != NULL));
    ck_assert_str_eq(ps_buf_cstr(&out), row->want ? row->want : "");
    ps_buf_free(&out);
    ps_spec_model_free(&m);
    ps_free(&section);
}
END_TEST

static const ps_check_case cases[] = {
    {&classes_are_those_of_id2label},
    {&what_is_no_list_of_classes_is_told},
    {&files_beside_say_how_texts_are_embedded},
    {&so_do_those_of_version_6},
    {&files_go_out_as_the_model_says, .repeat = sizeof back / sizeof *back},
    {0},
};

int main(void)
{
    return ps_check_main("model/hf_texts", cases);
}
