/* job_spec: the examples parse to what they say, and every rule across keys names its line. */
#include "common/conf/train_keys.h"
#include "tests/lib/conf_example.h"
#include "tests/unit/common/conf/job_rig.h"

#include <ctype.h>

START_TEST(every_fault_is_named_on_its_line_and_nothing_that_follows_from_one)
{
    refuses("kind: train\nname: Foo\nmodel: {architecture: mpl, layers: [4, 2]}\n"
            "data: {format: idx, train: {features: x, labels: /y}}\n"
            "train:\n  optimzer: {name: sgd}\n  epochs: 0\nworkers: many\n",
            "job.yaml:2: name: 'Foo' is not a name; allowed: 1 to 64 of a-z 0-9 . _ -, first a "
            "letter or a digit\n"
            "job.yaml:3: model.architecture: 'mpl' is not known; did you mean 'mlp'? allowed: mlp, "
            "cnn, gpt2, llama");
    static const char rest[] =
        "\njob.yaml:6: train.optimzer: unknown key; did you mean 'optimizer'? allowed: epochs, "
        "batch_size, accumulate, precision, recompute, seed, optimizer, schedule, consistency, "
        "clip_norm, codec, keep_moments, "
        "weights, group, lora, freeze\njob.yaml:7: train.epochs: 0 is out of range, allowed 1 to "
        "1000000\n"
        "job.yaml:8: workers: expected an integer, got 'many'";
    ck_assert_str_eq(strstr(ps_error_message(), rest), rest); /* to its end */
    refuses("kind: train\nname: x\nmodel: {architecture: mlp, layers: [4, 2]}\n",
            "job.yaml:1: data.format: missing; kind train needs it\n"
            "job.yaml:1: train: missing; kind train needs it\n"
            "job.yaml:1: data.train: missing; kind train needs it");
    refuses("kind: trian\nname: x\n", "job.yaml:1: kind: ");
    ck_assert_ptr_null(strchr(ps_error_message(), '\n'));
    refuses("kind: train\nname: x\nmodel: [1]\ntrain: 7\ndata: {format: idx}\n",
            "job.yaml:3: model: expected ");
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "\njob.yaml:4: train: expected "));
    ck_assert_ptr_null(strstr(ps_error_message(), "epochs"));
}
END_TEST

static ps_job_spec *parse_example(const char *name)
{
    ps_buf text = ps_test_source_file(name);
    ps_job_spec *spec = NULL;
    ps_status st = ps_job_spec_parse(ps_buf_slice(&text), name, &spec);
    ck_assert_msg(st == PS_OK, "%s", ps_error_message());
    ps_buf_free(&text);
    return spec;
}

START_TEST(the_main_example_is_the_job_it_describes)
{
    ps_job_spec *s = parse_example("deploy/examples/fashion-mlp.yaml");
    ck_assert_str_eq(ps_job_spec_kind(s)->name, "train");
    ck_assert_str_eq(s->name, "fashion-mlp");
    ck_assert_uint_eq(s->model->n_layers, 4);
    ck_assert_int_eq(s->model->layers[0], 784);
    ck_assert_int_eq(s->model->layers[3], 10);
    ck_assert_uint_eq(s->model->activation, PS_SPEC_RELU);
    ck_assert_uint_eq(s->model->loss, PS_SPEC_CROSS_ENTROPY);
    ck_assert_str_eq(s->data.format, "idx");
    ck_assert_str_eq(s->data.test->labels,
                     "/usr/share/datasets/fashion-mnist/t10k-labels-idx1-ubyte.gz");
    ck_assert_int_eq(s->train->epochs, 10);
    ck_assert_int_eq(s->train->batch_size, 128);
    ck_assert_str_eq(s->train->optimizer.name, "adamw");
    ck_assert_double_eq(s->train->optimizer.learning_rate, 0.001);
    ck_assert_double_eq(s->train->optimizer.weight_decay, 0.01);
    ck_assert_str_eq(s->train->consistency.mode, "asp");
    ck_assert_int_eq(s->workers, 2);
    ck_assert_uint_eq(s->durability, PS_SPEC_CHECKPOINT);
    ck_assert_uint_eq(s->checkpoint.every_ms, 30000);
    ck_assert(s->checkpoint.said);
    ps_job_spec_free(&s);
    ck_assert_ptr_null(s);
}
END_TEST

START_TEST(the_other_examples_parse)
{
    ps_job_spec *s = parse_example("deploy/examples/fashion-mlp-bsp.yaml");
    ck_assert_str_eq(s->train->consistency.mode, "bsp");
    ps_job_spec_free(&s);
    s = parse_example("deploy/examples/csv-regression.yaml");
    ck_assert_uint_eq(s->model->loss, PS_SPEC_SQUARED_ERROR);
    ck_assert_int_eq(s->data.csv.targets, 2);
    ck_assert(s->data.csv.header);
    ck_assert_uint_eq(s->train->schedule.name, PS_SPEC_COSINE);
    ps_job_spec_free(&s);
    s = parse_example("deploy/examples/gcide-gpt.yaml");
    ck_assert_str_eq(s->model->tokenizer, "bytes");
    ps_job_spec_free(&s);
    s = parse_example("deploy/examples/gcide-lora.yaml");
    ck_assert_str_eq(s->initialize_from, "gcide-gpt");
    ck_assert_str_eq(s->train->lora->targets[0], "all-linear");
    ps_job_spec_free(&s);
    s = parse_example("deploy/examples/texts-bert.yaml");
    ck_assert_int_eq(s->model->choices.num_classes, 2);
    ck_assert_int_eq(s->model->max_text_length, 256);
    ps_job_spec_free(&s);
    s = parse_example("deploy/examples/sae-fashion.yaml");
    ck_assert(ps_spec_model_is_coder(s->model));
    ck_assert_int_eq(s->model->top_k, 32);
    ck_assert_str_eq(ps_spec_data_files_format(&s->data), "idx");
    ck_assert_str_eq(ps_job_spec_teacher(s), "fashion-mlp");
    ps_job_spec_free(&s);
    s = parse_example("deploy/examples/gpt2-124m.yaml");
    ck_assert_uint_eq(s->train->precision, PS_SPEC_BF16);
    ck_assert_uint_eq(ps_spec_step_rows(s->train), 64);
    ps_job_spec_free(&s);
    s = parse_example("deploy/examples/llama-1b.yaml");
    ck_assert_int_eq(s->model->num_kv_heads, 4);
    ck_assert(s->train->recompute);
    ps_job_spec_free(&s);
}
END_TEST

START_TEST(the_examples_that_compress_parse)
{
    static const struct {
        const char *path, *scheme;
    } examples[] = {{"deploy/examples/compress-fashion.yaml", "uint8"},
                    {"deploy/examples/compress-gcide.yaml", "q4_0"},
                    {"deploy/examples/compress-llama-1b.yaml", "int4"}};
    for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
        ps_job_spec *s = parse_example(examples[i].path);
        ck_assert_str_eq(s->compress->quantise->scheme[0], examples[i].scheme);
        ps_job_spec_free(&s);
    }
    ps_job_spec *half = parse_example("deploy/examples/compress-fashion-half.yaml");
    ck_assert_str_eq(ps_job_spec_teacher(half), "fashion-mlp");
    ps_job_spec_free(&half);
    half = parse_example("deploy/examples/compress-gcide-half.yaml");
    ck_assert_str_eq(ps_job_spec_teacher(half), "gcide-gpt");
    ps_job_spec_free(&half);
}
END_TEST

/* "key:" as a word, also in a comment. */
static bool mentions(const char *text, const char *key)
{
    size_t len = strlen(key);
    for (const char *at = text; (at = strstr(at, key)); at++)
        if (at[len] == ':' && (at == text || !(isalnum((unsigned char)at[-1]) || at[-1] == '_')))
            return true;
    return false;
}

static void find_all(const ps_conf_key *keys, const char *text)
{
    for (const ps_conf_key *key = keys; key->name; key++) {
        ck_assert_msg(mentions(text, key->name), "%s is not documented", key->name);
        if (key->keys)
            find_all(key->keys, text);
    }
}

START_TEST(the_main_example_documents_every_key)
{
    ps_buf text = ps_test_source_file("deploy/examples/fashion-mlp.yaml");
    find_all(ps_job_schema.keys, ps_buf_cstr(&text));
    ps_buf_free(&text);
}
END_TEST

START_TEST(a_short_job_gets_the_defaults)
{
    ps_job_spec *s = parse(TRAIN);
    ck_assert_int_eq(s->train->batch_size, 128);
    ck_assert_int_eq(s->workers, 1);
    ck_assert_int_eq(s->min_workers, 1);
    ck_assert_int_eq(s->column_blocks, 1);
    ck_assert_str_eq(s->initialize_from, "");
    ck_assert_str_eq(s->train->codec.gradients, "float32");
    ck_assert_str_eq(s->train->codec.parameters, "float32");
    ck_assert_double_eq(s->train->optimizer.beta2, 0.999);
    ck_assert_ptr_null(s->data.test);
    ps_job_spec_free(&s);
}
END_TEST

START_TEST(misspelt_keys_are_named)
{
    refuses(
        "kind: train\nname: x\ndata: {format: idx}\ntrain:\n  epochs: 1\n  optimzer: {name: sgd}\n",
        "job.yaml:6: train.optimzer: unknown key; did you mean 'optimizer'? "
        "allowed: epochs, batch_size, accumulate, precision, recompute, seed, optimizer, "
        "schedule, consistency, clip_norm, codec, keep_moments");
}
END_TEST

START_TEST(names_are_of_a_small_alphabet)
{
    refuses("kind: train\nname: Big\ndata: {format: idx}\n",
            "job.yaml:2: name: 'Big' is not a name; allowed: 1 to 64 of a-z 0-9 . _ -");
    refuses(TRAIN "initialize_from: ../x\n", "job.yaml:10: initialize_from: '../x' is not a name");
    ck_assert(ps_job_spec_name_ok("a-b_c.9"));
    ck_assert(!ps_job_spec_name_ok(""));
    ck_assert(!ps_job_spec_name_ok(".hidden"));
    ck_assert(!ps_job_spec_name_ok("a/b"));
    ck_assert(
        !ps_job_spec_name_ok("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}
END_TEST

START_TEST(rules_across_keys_name_the_line)
{
    refuses(TRAIN "durability: log\n",
            "job.yaml:10: durability: log is not available in this version, use checkpoint");
    refuses(TRAIN "durability: memory\ncheckpoint: {every: 5s}\n",
            "job.yaml:11: checkpoint: durability memory takes no checkpoints");
    refuses(TRAIN "min_workers: 2\n", "job.yaml:10: min_workers: 2 is more than workers, 1");
    refuses(TRAIN "shards: {rows_per_task: 100}\n",
            "job.yaml:10: shards.rows_per_task: 100 is less than train.batch_size times "
            "train.accumulate, 128");
    refuses(TRAIN "  codec: {parameters: int8}\n",
            "job.yaml:10: train.codec.parameters: 'int8' is not known; allowed: float32, bf16");
    refuses(TRAIN "  consistency: {staleness: 3}\n",
            "job.yaml:10: train.consistency.staleness: mode asp has no bound to set");
    refuses("kind: train\nname: a\nmodel: {architecture: mlp, layers: [4, 1]}\n"
            "data:\n  format: idx\n  train: {features: /x, labels: /y}\n"
            "train: {epochs: 1, optimizer: {name: sgd, learning_rate: 1}}\n",
            "job.yaml:3: model.layers: the last layer is the number of classes");
}
END_TEST

START_TEST(settings_of_another_optimizer_are_refused)
{
    refuses("kind: train\nname: a\nmodel: {architecture: mlp, layers: [4, 3]}\n"
            "data: {format: idx, train: {features: /x, labels: /y}}\n"
            "train:\n  epochs: 1\n  optimizer:\n    name: sgd\n    learning_rate: 1\n"
            "    beta1: 0.5\n",
            "job.yaml:10: train.optimizer.beta1: optimizer sgd has no such setting; it is one of "
            "adamw");
    refuses("kind: train\nname: a\nmodel: {architecture: mlp, layers: [4, 3]}\n"
            "data: {format: idx, train: {features: /x, labels: /y}}\n"
            "train:\n  epochs: 1\n  optimizer: {name: lion, learning_rate: 1}\n"
            "  keep_moments: true\n",
            "job.yaml:8: train.keep_moments: optimizer lion has no mean squares of gradients; "
            "adamw, adamw8bit and adagrad have");
}
END_TEST

START_TEST(a_record_is_of_a_training_and_of_something)
{
    refuses(TRAIN "record: {}\n", "job.yaml:10: record: nothing is to be recorded; say "
                                  "influence, loss_changes or noise_scale");
    refuses(TRAIN "record: {influence: {sketch: 32768}, loss_changes: {}}\n",
            "job.yaml:10: record.influence.sketch: at most 16384 beside loss_changes");
    refuses("kind: describe\nname: a\nmodel_name: m\nrecord: {influence: {}}\n",
            "job.yaml:4: record: not for kind describe, only for train");
}
END_TEST

#define DATA(text)                                                                         \
    "kind: train\nname: a\ntrain: {epochs: 1, optimizer: {name: sgd, learning_rate: 1}}\n" \
    "model: {architecture: mlp, layers: [4, 3]}\ndata:\n" text

static ps_spec_label_column label_column_of(const char *yaml)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_job_spec *spec = NULL;
    ps_buf_printf(&text, "%s  csv: {header: true, label_column: %s}\n",
                  DATA("  format: csv\n  train: {features: /x}\n"), yaml);
    ps_status st = ps_job_spec_parse(ps_buf_slice(&text), "job.yaml", &spec);
    ck_assert_msg(!st, "%s", ps_error_message());
    ps_spec_label_column l = spec->data.csv.label_column;
    static char any[64], name[64];
    l.any = strcpy(any, l.any);
    l.name = strcpy(name, l.name);
    ps_job_spec_free(&spec);
    ps_buf_free(&text);
    return l;
}

START_TEST(a_label_column_is_said_in_one_of_three_ways)
{
    ps_spec_label_column l = label_column_of("2019");
    ck_assert(!strcmp(l.any, "2019") && !*l.name && l.index == -1);
    l = label_column_of("{column: last}");
    ck_assert(!strcmp(l.any, "last") && !*l.name && l.index == -1);
    l = label_column_of("{name: last}");
    ck_assert(!strcmp(l.name, "last") && l.index == -1);
    l = label_column_of("{index: 2}");
    ck_assert(!*l.name && l.index == 2);
}
END_TEST

#define APART(more)                                                                              \
    "kind: train\nname: a\ntrain: {epochs: 1, optimizer: {name: sgd, learning_rate: 1}}\n"       \
    "model: {architecture: gpt2, vocab_size: 9, context_length: 8, hidden_size: 8, num_layers: " \
    "1, num_heads: 1}\ndata: {format: tokens, train: {tokens: /x}, documents: apart}\n" more

START_TEST(data_is_checked_against_its_format)
{
    refuses(DATA("  format: idx\n  train: {features: /x}\n"),
            "job.yaml:7: data.train.labels: missing; format idx keeps labels in a file");
    refuses(DATA("  format: csv\n  train: {features: /x, labels: /y}\n"),
            "job.yaml:7: data.train.labels: not for format csv");
    refuses(DATA("  format: idx\n  train: {features: x, labels: /y}\n"),
            "job.yaml:7: data.train.features: 'x' must be an absolute path");
    refuses(DATA("  format: idx\n  train: {features: /x, labels: /y}\n  csv: {header: true}\n"),
            "job.yaml:8: data.csv: only for format csv, not idx");
    refuses(DATA("  format: csv\n  train: {features: /x}\n  csv: {delimiter: \"5\"}\n"),
            "job.yaml:8: data.csv.delimiter: '5' cannot separate numbers");
    refuses(DATA("  format: csv\n  train: {features: /x}\n  csv: {label_column: species}\n"),
            "job.yaml:8: data.csv.label_column: 'species' is a column's name, but");
    refuses(DATA("  format: csv\n  train: {features: /x}\n  csv: {label_column: {name: last}}\n"),
            "job.yaml:8: data.csv.label_column: 'last' is a column's name, but");
    refuses(DATA("  format: csv\n  train: {features: /x}\n"
                 "  csv: {header: true, label_column: {name: y, index: 2}}\n"),
            "job.yaml:8: data.csv.label_column: one of column, name and index, not several");
    refuses(DATA("  format: csv\n  train: {features: /x}\n  csv: {label_column: {index: -1}}\n"),
            "job.yaml:8: data.csv.label_column: index -1; columns are counted from 0");
    refuses(DATA("  format: csv\n  train: {features: /x}\n  csv: {label_column: [2]}\n"),
            "job.yaml:8: data.csv.label_column: expected keys and values, got a list");
    refuses(DATA("  format: csv\n  train: {features: /x}\n  csv: {targets: 2}\n"),
            "job.yaml:8: data.csv.targets: 2 columns; loss cross_entropy has one, the class");
    refuses(DATA("  format: parquet\n  train: {features: /x}\n"),
            "job.yaml:6: data.format: 'parquet' is not known; allowed: idx, csv, tokens");
    refuses(DATA("  format: csv\n  train: {tokens: /x}\n"),
            "job.yaml:7: data.train.tokens: only for format tokens, not csv");
    refuses(DATA("  format: csv\n  train: {}\n"),
            "job.yaml:7: data.train.features: missing; format csv reads it");
    refuses(DATA("  format: tokens\n  train: {features: /x}\n"),
            "job.yaml:7: data.train.features: not for format tokens");
    refuses(DATA("  format: tokens\n  train: {}\n"),
            "job.yaml:7: data.train.tokens: missing; format tokens reads it");
    refuses(DATA("  format: tokens\n  train: {tokens: x}\n"),
            "job.yaml:7: data.train.tokens: 'x' must be an absolute path");
    refuses(DATA("  format: tokens\n  train: {tokens: /x}\n"),
            "job.yaml:6: data.format: 'tokens' is not what architecture mlp reads: allowed: idx");
    refuses(DATA("  format: csv\n  train: {features: /x}\n  sequence_length: 8\n"),
            "job.yaml:8: data.sequence_length: only for language models");
    refuses(DATA("  format: csv\n  train: {features: /x}\n  documents: apart\n"),
            "job.yaml:8: data.documents: only for language models");
    refuses(DATA("  format: tokens\n  train: {tokens: /x}\n  documents: alone\n"),
            "job.yaml:8: data.documents: 'alone' is not known; allowed: together, apart");
    refuses(APART("record: {noise_scale: true}\n"),
            "job.yaml:5: data.documents: apart is not for record");
    refuses("kind: explain\nname: a\nmodel_name: m\ndata: {format: tokens, test: {tokens: /x}, "
            "documents: apart}\nexplain: {attributions: [{method: saliency}]}\n",
            "job.yaml:4: data.documents: apart is not for kind explain");
}
END_TEST

#define JOB(model)                                                                         \
    "kind: train\nname: a\ntrain: {epochs: 1, optimizer: {name: sgd, learning_rate: 1}}\n" \
    "data: {format: tokens, train: {tokens: /x}}\nmodel:\n" model
#define SIZES                                                           \
    "  vocab_size: 50257\n  context_length: 1024\n  hidden_size: 768\n" \
    "  num_layers: 12\n  num_heads: 12\n"

START_TEST(a_language_model_gets_what_follows_from_its_sizes)
{
    ps_job_spec *s = parse(JOB("  architecture: gpt2\n" SIZES));
    ck_assert_int_eq(s->model->intermediate_size, 3072);
    ck_assert_int_eq(s->model->num_kv_heads, 12);
    ck_assert(s->model->tie_embeddings);
    ck_assert_double_eq(s->model->norm_epsilon, 1e-5);
    ck_assert_str_eq(s->model->tokenizer, "");
    ck_assert_uint_eq(s->model->n_layers, 0);
    ck_assert(ps_spec_model_is_language(s->model));
    ps_job_spec_free(&s);
    s = parse(JOB("  architecture: llama\n" SIZES "  num_kv_heads: 4\n  intermediate_size: 2048\n"
                  "  rope_theta: 5e5\n  norm_epsilon: 1e-6\n  tokenizer: gpt2\n"));
    ck_assert_int_eq(s->model->num_kv_heads, 4);
    ck_assert_int_eq(s->model->intermediate_size, 2048);
    ck_assert_double_eq(s->model->rope.theta, 500000);
    ck_assert(!s->model->tie_embeddings);
    ps_job_spec_free(&s);
    s = parse(TRAIN);
    ck_assert(!ps_spec_model_is_language(s->model));
    ps_job_spec_free(&s);
}
END_TEST

START_TEST(a_model_section_reads_back_as_it_was_written)
{
    static const char *const written[] = {
        "{architecture: mlp, layers: [784, 10], activation: tanh, loss: squared_error}",
        "{architecture: gpt2, vocab_size: 257, context_length: 64, hidden_size: 48, "
        "num_layers: 2, num_heads: 3, intermediate_size: 100, norm_epsilon: 1e-06, dropout: 0.1, "
        "tokenizer: \"bytes\"}",
        "{architecture: llama, vocab_size: 300, context_length: 64, hidden_size: 48, "
        "num_layers: 2, num_heads: 6, num_kv_heads: 2, intermediate_size: 100, "
        "rope_theta: 500000, norm_epsilon: 1e-05, tie_embeddings: true, dropout: 0, "
        "tokenizer: \"\"}",
        "{architecture: llama, vocab_size: 300, context_length: 64, hidden_size: 50, "
        "num_layers: 2, num_heads: 6, num_kv_heads: 2, head_dim: 8, intermediate_size: 100, "
        "rope_theta: 500000, norm_epsilon: 1e-05, tie_embeddings: true, dropout: 0, "
        "tokenizer: \"\"}",
    };
    for (size_t i = 0; i < sizeof written / sizeof *written; i++) {
        ps_spec_model *model = NULL;
        ck_ok(ps_spec_model_parse(ps_slice_str(written[i]), "model", &model));
        ps_buf out = PS_BUF_EMPTY;
        ps_spec_model_format(model, &out);
        ck_assert_str_eq(ps_buf_cstr(&out), written[i]);
        ps_buf_free(&out);
        ps_spec_model_free(&model);
    }
}
END_TEST

START_TEST(a_key_of_another_architecture_is_refused)
{
    refuses(JOB("  architecture: gpt2\n" SIZES "  layers: [4, 3]\n"),
            "job.yaml:12: model.layers: not for architecture gpt2");
    refuses(JOB("  architecture: gpt2\n" SIZES "  rope_theta: 10000\n"),
            "job.yaml:12: model.rope_theta: not for architecture gpt2");
    refuses(JOB("  architecture: llama\n" SIZES "  loss: cross_entropy\n"),
            "job.yaml:12: model.loss: not for architecture llama");
    refuses(JOB("  architecture: mlp\n  layers: [4, 3]\n  hidden_size: 8\n"),
            "job.yaml:8: model.hidden_size: not for architecture mlp");
    refuses(JOB("  architecture: mlp\n"),
            "job.yaml:5: model.layers: missing; a list of integers is required here");
    refuses(JOB("  architecture: mlp\n  layers: [4]\n"),
            "job.yaml:7: model.layers: 1 entries, allowed 2 to 256");
    refuses(JOB("  architecture: xlnet\n"),
            "job.yaml:6: model.architecture: 'xlnet' is not known; allowed: mlp, cnn, gpt2, llama");
}
END_TEST

START_TEST(sizes_of_a_language_model_fit_each_other)
{
    refuses(JOB("  architecture: gpt2\n  vocab_size: 300\n"),
            "job.yaml:5: model.context_length: missing; architecture gpt2 needs it");
    refuses(JOB("  architecture: gpt2\n  vocab_size: 0\n"),
            "job.yaml:7: model.vocab_size: 0 is out of range, allowed from 1");
    refuses(JOB("  architecture: gpt2\n" SIZES "  embedding_dropout: -0.5\n"),
            "job.yaml:12: model.embedding_dropout: -0.5 is out of range, allowed 0 to 0.9");
    refuses(JOB("  architecture: gpt2\n" SIZES "  sliding_window: 8\n"),
            "job.yaml:12: model.sliding_window: not for architecture gpt2");
    refuses(JOB("  architecture: gpt2\n" SIZES "  hidden_act: tanh\n"),
            "job.yaml:12: model.hidden_act: 'tanh' is not known; allowed: default, gelu_tanh");
    refuses(JOB("  architecture: llama\n" SIZES),
            "job.yaml:5: model.intermediate_size: missing; architecture llama needs it");
    refuses(JOB("  architecture: llama\n" SIZES "  intermediate_size: 8\n  num_kv_heads: 5\n"),
            "job.yaml:13: model.num_kv_heads: 5 does not divide num_heads, 12");
    refuses(JOB("  architecture: llama\n  vocab_size: 9\n  context_length: 9\n  hidden_size: 9\n"
                "  num_layers: 1\n  num_heads: 3\n  intermediate_size: 8\n"),
            "job.yaml:9: model.hidden_size: a head has 3 numbers (hidden_size / num_heads); RoPE");
    refuses(JOB("  architecture: llama\n  vocab_size: 9\n  context_length: 9\n  hidden_size: 8\n"
                "  num_layers: 1\n  num_heads: 3\n  head_dim: 5\n  intermediate_size: 8\n"),
            "job.yaml:12: model.head_dim: a head has 5 numbers; RoPE needs an even number");
    refuses(JOB("  architecture: gpt2\n  vocab_size: 9\n  context_length: 9\n  hidden_size: 9\n"
                "  num_layers: 1\n  num_heads: 2\n"),
            "job.yaml:9: model.hidden_size: 9 is not a multiple of num_heads, 2");
    refuses(JOB("  architecture: gpt2\n" SIZES "  tokenizer: words\n"),
            "job.yaml:12: model.tokenizer: 'words' is not known; allowed: bytes, gpt2");
    refuses(JOB("  architecture: gpt2\n  vocab_size: 255\n  context_length: 9\n"
                "  hidden_size: 8\n  num_layers: 1\n  num_heads: 2\n  tokenizer: bytes\n"),
            "job.yaml:7: model.vocab_size: 255 is less than the 256 of tokenizer bytes");
}
END_TEST

/* A word in a row that is no key would be without effect and without an error. */
START_TEST(what_an_optimizer_takes_is_a_key)
{
    for (const char *const *name = ps_optimizer_names; *name; name++) {
        const ps_optimizer_key *own = ps_optimizer_row_find(*name)->keys;
        for (size_t i = 0; i < PS_OPTIMIZER_KEYS && own[i].name; i++) {
            const ps_conf_key *key = ps_spec_optimizer_keys;
            while (key->name && strcmp(key->name, own[i].name))
                key++;
            ck_assert_msg(key->name, "%s: %s", *name, own[i].name);
        }
    }
}
END_TEST

static const ps_check_case tests[] = {
    {&the_main_example_is_the_job_it_describes},
    {&the_other_examples_parse},
    {&the_examples_that_compress_parse},
    {&the_main_example_documents_every_key},
    {&what_an_optimizer_takes_is_a_key},
    {&a_short_job_gets_the_defaults},
    {&every_fault_is_named_on_its_line_and_nothing_that_follows_from_one},
    {&misspelt_keys_are_named},
    {&names_are_of_a_small_alphabet},
    {&rules_across_keys_name_the_line},
    {&settings_of_another_optimizer_are_refused},
    {&a_record_is_of_a_training_and_of_something},
    {&a_label_column_is_said_in_one_of_three_ways},
    {&data_is_checked_against_its_format},
    {&a_language_model_gets_what_follows_from_its_sizes},
    {&a_model_section_reads_back_as_it_was_written},
    {&a_key_of_another_architecture_is_refused},
    {&sizes_of_a_language_model_fit_each_other},
    {0},
};

int main(void)
{
    return ps_check_main("conf/job_spec", tests);
}
