/* args: what a command line means, and the one line that a wrong one gets. */
#include "client/cli/args.h"
#include "tests/lib/check_main.h"

#include <string.h>

static ps_globals globals;
static ps_command_line line;

/* Splits at single spaces. */
static ps_status parse(const char *text)
{
    static char copy[256];
    static const char *argv[32];
    size_t argc = 0;
    strncpy(copy, text, sizeof copy - 1);
    for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
        argv[argc++] = word;
    globals = (ps_globals){0};
    return ps_args_parse(ps_global_flags, &globals, argc, argv, &line);
}

static void refuses(const char *text, const char *message)
{
    ck_assert_int_eq(parse(text), PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), message);
    ps_command_line_clear(&line);
}

START_TEST(global_flags_stand_before_and_after_the_command)
{
    ck_ok(parse("--server a:1 job 7 --output=json --timeout 5s"));
    ck_assert_str_eq(line.command->name, "job");
    ck_assert_str_eq(globals.server, "a:1");
    ck_assert_str_eq(globals.output, "json");
    ck_assert_uint_eq(globals.timeout_ms, 5000);
    ck_assert_uint_eq(line.args.operands.n, 1);
    ck_assert_str_eq(line.args.operands.at[0], "7");
    ps_command_line_clear(&line);
}
END_TEST

START_TEST(flags_and_operands_mix)
{
    ck_ok(parse("import --replace f.safetensors --model x tiny"));
    ck_assert_uint_eq(line.args.operands.n, 2);
    ck_assert_str_eq(line.args.operands.at[1], "tiny");
    ps_command_line_clear(&line);
    ck_ok(parse("export -o- -- --name"));
    ck_assert_str_eq(line.args.operands.at[0], "--name");
    ck_assert_str_eq(*(const char *const *)line.args.options, "-");
    ps_command_line_clear(&line);
    ck_ok(parse("submit -f -"));
    ck_assert(*(const bool *)line.args.options);
    ck_assert_str_eq(line.args.operands.at[0], "-");
    ps_command_line_clear(&line);
}
END_TEST

START_TEST(a_command_of_two_words_is_found_by_both)
{
    ck_ok(parse("cert create-server --host a --host b"));
    ck_assert_str_eq(line.command->name, "cert create-server");
    ps_command_line_clear(&line);
    ck_ok(parse("cert"));
    ck_assert_ptr_null(line.command);
    ck_assert_str_eq(line.group, "cert");
    ps_command_line_clear(&line);
}
END_TEST

/* "model" is both; a model may be called as the second word of another. */
START_TEST(a_command_that_begins_others_is_meant_where_none_of_them_is)
{
    static const struct {
        const char *said, *command;
        size_t operands;
    } lines[] = {{"model sign", "model sign", 0},
                 {"model sign x", "model sign", 1},
                 {"model x", "model", 1},
                 {"model -- sign", "model", 1},
                 {"model --lineage sign", "model", 1},
                 {"--output json model verify x", "model verify", 1},
                 {"model x sign", "model", 2}};
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        ps_status st = parse(lines[i].said);
        ck_assert_msg(line.command && !strcmp(line.command->name, lines[i].command), "%s",
                      lines[i].said);
        ck_assert_uint_eq(line.args.operands.n, lines[i].operands);
        ck_assert_int_eq(st == PS_OK, line.args.operands.n == 1);
        ps_command_line_clear(&line);
    }
}
END_TEST

START_TEST(a_misspelt_name_gets_the_one_that_was_meant)
{
    refuses("sumbit x", "unknown command 'sumbit'; did you mean 'submit'?");
    refuses("context lst", "unknown command 'context lst'; did you mean 'context list'?");
    refuses("frobnicate", "unknown command 'frobnicate'; 'psctl help' lists them");
    refuses("submit x --folow", "unknown flag --folow; did you mean --follow?");
    refuses("submit x --sever=a", "unknown flag --sever=a; did you mean --server?");
    refuses("jobs --json", "unknown flag --json; did you mean --output json?");
    refuses("--json jobs", "unknown flag --json; did you mean --output json?");
    refuses("embed m --cls", "unknown flag --cls; did you mean --pool cls?");
    refuses("import x y --force", "unknown flag --force; did you mean --replace?");
    refuses("export m --overwrite", "unknown flag --overwrite; did you mean --force?");
    refuses("export m --out x", "unknown flag --out; did you mean --to?");
    refuses("generate m --max-new-tokens 3",
            "unknown flag --max-new-tokens; did you mean --tokens?");
    refuses("export m --output x", "--output: 'x' is none of text, json; --to (-o) names a file");
    refuses("jobs --output x", "--output: 'x' is none of text, json");
    refuses("chat --model m", "unknown flag --model; usage: psctl chat NAME");
    refuses("jobs --model m", "unknown flag --model; 'psctl help jobs' lists them");
    refuses("train x", "unknown command 'train'; did you mean 'submit'?");
    refuses("context train", "unknown command 'context train'; 'psctl help context' lists them");
    refuses("submit x -q", "unknown flag -q; 'psctl help submit' lists them");
    refuses("--follow submit x", "--follow goes after the command");
}
END_TEST

START_TEST(a_wrong_value_says_what_is_allowed)
{
    refuses("jobs --output yaml", "--output: 'yaml' is none of text, json");
    refuses("jobs --output", "--output needs a value: text|json");
    refuses("submit x --follow=yes", "--follow takes no value");
    refuses("cert create-ca --days soon", "--days: 'soon' is not a whole number");
    refuses("cert create-ca --days -1", "--days: '-1' is not a whole number");
    refuses("cert create-client --days 0",
            "--days: 0 is not allowed; more than that, or leave the flag out");
    refuses("jobs --limit 0", "--limit: 0 is not allowed; more than that, or leave the flag out");
    refuses("jobs --timeout 0s",
            "--timeout: 0s is not allowed; more than that, or leave the flag out");
    ck_assert_int_eq(parse("jobs --timeout 5x"), PS_INVALID_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(ps_error_message(), "--timeout"));
    ps_command_line_clear(&line);
}
END_TEST

START_TEST(operands_are_counted)
{
    refuses("job", "JOB is missing; usage: psctl job JOB");
    refuses("import file", "NAME is missing; usage: psctl import FILE|FOLDER NAME");
    refuses("jobs x", "too many arguments: 'x'; usage: psctl jobs");
    refuses("eval x", "unknown command 'eval'; did you mean 'evaluate'?");
    refuses("frob", "unknown command 'frob'; 'psctl help' lists them");
    refuses("job 1 2", "too many arguments: '2'; usage: psctl job JOB");
    refuses("jobs 1", "too many arguments: '1'; usage: psctl jobs");
    refuses("chat m hi",
            "too many arguments: 'hi'; did you mean --message 'hi'? usage: psctl chat NAME");
    refuses("generate m hello world",
            "too many arguments: 'hello'; did you mean --prompt 'hello'? usage: psctl generate "
            "NAME");
}
END_TEST

static void is_empty(const char *const *argv, size_t argc, const char *message)
{
    globals = (ps_globals){0};
    ck_assert_int_eq(ps_args_parse(ps_global_flags, &globals, argc, argv, &line),
                     PS_INVALID_ARGUMENT);
    ck_assert_str_eq(ps_error_message(), message);
    ps_command_line_clear(&line);
}

START_TEST(an_operand_that_is_empty_is_told_as_one)
{
    is_empty((const char *const[]){"import", "", "m"}, 3,
             "FILE|FOLDER is empty; usage: psctl import FILE|FOLDER NAME");
    is_empty((const char *const[]){"import", "f", ""}, 3,
             "NAME is empty; usage: psctl import FILE|FOLDER NAME");
    is_empty((const char *const[]){"tokenize", "-o", "x", "a", "b", ""}, 6,
             "INPUT is empty; usage: psctl tokenize INPUT ...");
    is_empty((const char *const[]){"fetch", "1", ""}, 3,
             "NAME is empty; usage: psctl fetch JOB [NAME]");
}
END_TEST

START_TEST(who_asks_for_help_gets_it_whatever_else_is_wrong)
{
    ck_ok(parse("submit --help"));
    ck_assert(line.help);
    ck_assert_str_eq(line.command->name, "submit");
    ps_command_line_clear(&line);
    ck_ok(parse("submit a b --nonsense -h"));
    ck_assert(line.help);
    ps_command_line_clear(&line);
    ck_ok(parse("--help"));
    ck_assert(line.help);
    ps_command_line_clear(&line);
    ck_assert_int_eq(parse("submit x -- --help"), PS_INVALID_ARGUMENT); /* two operands */
    ck_assert(!line.help);
    ps_command_line_clear(&line);
}
END_TEST

START_TEST(help_and_flag_say_the_same_text)
{
    ps_buf text = PS_BUF_EMPTY;
    ps_command_help(ps_command_find("submit"), &text);
    ck_assert_ptr_nonnull(strstr(ps_buf_cstr(&text), "usage: psctl submit [FLAGS] FILE"));
    ck_assert_ptr_nonnull(strstr(ps_buf_cstr(&text), "-f, --follow"));
    ps_buf_free(&text);
}
END_TEST

/* Of what is told of a command, paragraphs that are wider than a terminal are broken anew. */
START_TEST(help_fits_into_80_columns)
{
    const ps_command command = {
        .name = "x",
        .operands = "",
        .help = "y",
        .details =
            "Words of a paragraph whose first line is wider than the eighty columns of a terminal\n"
            "are broken anew.\n\n  as it is\nShort lines\nstay as they are.\n"};
    ps_buf text = PS_BUF_EMPTY;
    ps_command_help(&command, &text);
    ck_assert_str_eq(ps_buf_cstr(&text),
                     "psctl x: y\n\nusage: psctl x\n\n"
                     "Words of a paragraph whose first line is wider than the eighty columns of a\n"
                     "terminal are broken anew.\n\n  as it is\nShort lines\nstay as they are.\n\n"
                     "The flags of every command: 'psctl help'.\n");
    ps_buf_free(&text);
}
END_TEST

/* What the tables promise: the parser and the completion rely on it. */
START_TEST(every_row_is_complete)
{
    for (const ps_command *const *row = ps_commands; *row; row++) {
        const ps_command *c = *row;
        ck_assert_ptr_nonnull(c->run);
        ck_assert_ptr_nonnull(c->operands);
        ck_assert_uint_le(c->least, c->most);
        ck_assert_ptr_eq(ps_command_find(c->name), c);
        for (const ps_flag *f = c->flags; f && f->name; f++) {
            ck_assert_uint_lt(f->offset, c->options_size);
            ck_assert_msg((f->value == NULL) == (f->type == PS_FLAG_SWITCH), "%s --%s", c->name,
                          f->name);
            for (const ps_flag *g = ps_global_flags; g->name; g++)
                ck_assert_msg(strcmp(f->name, g->name) != 0, "%s --%s", c->name, f->name);
        }
    }
}
END_TEST

static const ps_check_case tests[] = {
    {&global_flags_stand_before_and_after_the_command},
    {&flags_and_operands_mix},
    {&a_command_of_two_words_is_found_by_both},
    {&a_command_that_begins_others_is_meant_where_none_of_them_is},
    {&a_misspelt_name_gets_the_one_that_was_meant},
    {&a_wrong_value_says_what_is_allowed},
    {&operands_are_counted},
    {&an_operand_that_is_empty_is_told_as_one},
    {&who_asks_for_help_gets_it_whatever_else_is_wrong},
    {&help_and_flag_say_the_same_text},
    {&help_fits_into_80_columns},
    {&every_row_is_complete},
    {0},
};

int main(void)
{
    return ps_check_main("client/cli/args", tests);
}
