/* Happy path: walk the arguments once; a flag is looked up among the command's, then the global
 * ones, and stored at its offset; the first one or two words that are no flags name the command.
 * Fails with one line that says what was wrong and, for a misspelt name, what was meant. */
#include "client/cli/args.h"

#include "common/base/mem.h"
#include "common/conf/conf.h"
#include "common/conf/nearest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_WORDS = 64 };

typedef struct word_list {
    const char *at[MAX_WORDS + 1]; /* NULL after the last */
    size_t n;
} word_list;

typedef struct parser {
    const ps_flag *global_flags;
    void *globals;
    const char *const *argv;
    size_t argc, at;
    ps_command_line *line;
} parser;

static void texts_add(ps_texts *texts, const char *text)
{
    texts->at = ps_realloc(texts->at, (texts->n + 1) * sizeof *texts->at);
    texts->at[texts->n++] = text;
}

static const ps_flag *find_flag(const ps_flag *flags, const char *name, size_t len, char letter)
{
    for (const ps_flag *f = flags; f && f->name; f++)
        if (letter ? f->letter == letter : strlen(f->name) == len && !memcmp(f->name, name, len))
            return f;
    return NULL;
}

static void add_word(word_list *words, const char *word)
{
    if (words->n < MAX_WORDS)
        words->at[words->n++] = word;
}

static const char *nth_word(const void *words, size_t i)
{
    return ((const word_list *)words)->at[i];
}

static void add_flags(word_list *words, const ps_flag *flags)
{
    for (const ps_flag *f = flags; f && f->name; f++)
        add_word(words, f->name);
}

/* "json" of --output json: the flag whose word it is. */
static const ps_flag *flag_of_word(const ps_flag *flags, const char *word, size_t len)
{
    for (const ps_flag *f = flags; f && f->name; f++)
        for (const char *const *w = f->words; w && *w; w++)
            if (ps_slice_is(ps_slice_of(word, len), *w))
                return f;
    return NULL;
}

/* What other programs have a flag for, and psctl takes without one. */
static bool is_operand(const char *name, size_t len)
{
    static const char *const words[] = {"model", "name", "file", "input", "path"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (ps_slice_is(ps_slice_of(name, len), words[i]))
            return true;
    return false;
}

/* What other programs, or other commands, call a flag by; NULL: nothing that the command has. */
static const ps_flag *flag_elsewhere(const ps_flag *flags, const char *name, size_t len)
{
    static const struct {
        const char *word, *meant;
    } rows[] = {
        {"force", "replace"},
        {"overwrite", "replace"},
        {"overwrite", "force"},
        {"replace", "force"},
        {"out", "to"},
        {"outfile", "to"},
        {"out-file", "to"},
        {"quantize", "dtype"},
        {"outtype", "dtype"},
        {"n-predict", "tokens"},
        {"max-new-tokens", "tokens"},
        {"max_new_tokens", "tokens"},
        {"system-prompt", "system"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (ps_slice_is(ps_slice_of(name, len), rows[i].word)) {
            const char *meant = rows[i].meant;
            const ps_flag *f = find_flag(flags, meant, strlen(meant), 0);
            if (f)
                return f;
        }
    return NULL;
}

static ps_status unknown_flag(const parser *p, const char *arg, const char *name, size_t len)
{
    const ps_command *command = p->line->command;
    if (!command)
        for (const ps_command *const *c = ps_commands; *c; c++)
            if (find_flag((*c)->flags, name, len, 0))
                return ps_fail(PS_INVALID_ARGUMENT, "--%.*s goes after the command", (int)len,
                               name);
    const ps_flag *has = flag_of_word(command ? command->flags : NULL, name, len);
    has = has ? has : flag_of_word(p->global_flags, name, len);
    if (has)
        return ps_fail(PS_INVALID_ARGUMENT, "unknown flag %s; did you mean --%s %.*s?", arg,
                       has->name, (int)len, name);
    has = flag_elsewhere(command ? command->flags : NULL, name, len);
    if (has)
        return ps_fail(PS_INVALID_ARGUMENT, "unknown flag %s; did you mean --%s?", arg, has->name);
    word_list words = {0};
    add_flags(&words, command ? command->flags : NULL);
    add_flags(&words, p->global_flags);
    char *wanted = ps_asprintf("%.*s", (int)len, name);
    const char *near = ps_conf_nearest(wanted, nth_word, &words);
    ps_free(&wanted);
    if (near)
        return ps_fail(PS_INVALID_ARGUMENT, "unknown flag %s; did you mean --%s?", arg, near);
    if (command && *command->operands && is_operand(name, len))
        return ps_fail(PS_INVALID_ARGUMENT, "unknown flag %s; usage: psctl %s %s", arg,
                       command->name, command->operands);
    return ps_fail(PS_INVALID_ARGUMENT, "unknown flag %s; 'psctl help%s%s' lists them", arg,
                   command ? " " : "", command ? command->name : "");
}

static ps_status check_word(const ps_flag *flag, const char *value)
{
    ps_buf all = PS_BUF_EMPTY;
    for (const char *const *w = flag->words; *w; w++) {
        if (!strcmp(*w, value)) {
            ps_buf_free(&all);
            return PS_OK;
        }
        ps_buf_printf(&all, "%s%s", all.len ? ", " : "", *w);
    }
    ps_status st = ps_fail(PS_INVALID_ARGUMENT, "--%s: '%s' is none of %s", flag->name, value,
                           ps_buf_cstr(&all));
    ps_buf_free(&all);
    return st;
}

static ps_status parse_number(const ps_flag *flag, const char *value, uint64_t *out)
{
    char *end = NULL;
    errno = 0;
    unsigned long long n = strtoull(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end || errno)
        return ps_fail(PS_INVALID_ARGUMENT, "--%s: '%s' is not a whole number", flag->name, value);
    *out = n;
    return PS_OK;
}

/* To a command a 0 means that nothing was given. */
static ps_status check_given(const ps_flag *flag, const char *value, const uint64_t *amount)
{
    if (*amount)
        return PS_OK;
    return ps_fail(PS_INVALID_ARGUMENT,
                   "--%s: %s is not allowed; more than that, or leave the flag out", flag->name,
                   value);
}

static ps_status store(const ps_flag *flag, void *options, const char *value)
{
    void *at = (char *)options + flag->offset;
    switch (flag->type) {
    case PS_FLAG_SWITCH:
        *(bool *)at = true;
        return PS_OK;
    case PS_FLAG_TEXTS:
        texts_add(at, value);
        return PS_OK;
    case PS_FLAG_NUMBER: {
        ps_status st = parse_number(flag, value, at);
        return st ? st : check_given(flag, value, at);
    }
    case PS_FLAG_SIZE: {
        ps_status st = ps_conf_parse_bytes(value, at);
        return st ? ps_wrap(st, "--%s", flag->name) : check_given(flag, value, at);
    }
    case PS_FLAG_DURATION: {
        ps_status st = ps_conf_parse_duration(value, at);
        return st ? ps_wrap(st, "--%s", flag->name) : check_given(flag, value, at);
    }
    default:
        *(const char **)at = value;
        return flag->words ? check_word(flag, value) : PS_OK;
    }
}

/* value is what was glued to the flag (after '=' or the letter), NULL when nothing was. */
static ps_status take_flag(parser *p, const ps_flag *flag, void *options, const char *value)
{
    if (flag->type == PS_FLAG_SWITCH) {
        if (value)
            return ps_fail(PS_INVALID_ARGUMENT, "--%s takes no value", flag->name);
    } else if (!value) {
        if (p->at == p->argc)
            return ps_fail(PS_INVALID_ARGUMENT, "--%s needs a value: %s", flag->name, flag->value);
        value = p->argv[p->at++];
    }
    ps_status st = store(flag, options, value);
    const ps_command *command = p->line->command;
    if (st && !strcmp(flag->name, "output") && command && find_flag(command->flags, "to", 2, 0))
        st = ps_fail(st, "%s; --to (-o) names a file", ps_error_message());
    return st;
}

static ps_status long_flag(parser *p, const char *arg)
{
    const char *name = arg + 2, *equals = strchr(name, '=');
    size_t len = equals ? (size_t)(equals - name) : strlen(name);
    const char *value = equals ? equals + 1 : NULL;
    const ps_command *command = p->line->command;
    const ps_flag *flag = command ? find_flag(command->flags, name, len, 0) : NULL;
    if (flag)
        return take_flag(p, flag, p->line->options, value);
    flag = find_flag(p->global_flags, name, len, 0);
    if (flag)
        return take_flag(p, flag, p->globals, value);
    return unknown_flag(p, arg, name, len);
}

static ps_status short_flags(parser *p, const char *arg)
{
    const ps_command *command = p->line->command;
    for (const char *c = arg + 1; *c; c++) {
        const ps_flag *flag = command ? find_flag(command->flags, NULL, 0, *c) : NULL;
        void *options = p->line->options;
        if (!flag) {
            flag = find_flag(p->global_flags, NULL, 0, *c);
            options = p->globals;
        }
        if (!flag)
            return ps_fail(PS_INVALID_ARGUMENT, "unknown flag -%c; 'psctl help%s%s' lists them", *c,
                           command ? " " : "", command ? command->name : "");
        if (flag->type != PS_FLAG_SWITCH)
            return take_flag(p, flag, options, c[1] ? c + 1 : NULL);
        ps_status st = take_flag(p, flag, options, NULL);
        if (st)
            return st;
    }
    return PS_OK;
}

/* What others call a command by; of a word that is not here the spelling is looked at. */
static const char *called_elsewhere(const char *word)
{
    static const struct {
        const char *word, *meant;
    } rows[] = {
        {"train", "submit"},    {"fit", "submit"},       {"run", "submit"},
        {"finetune", "submit"}, {"fine-tune", "submit"}, {"ls", "models"},
        {"list", "models"},     {"ps", "jobs"},          {"rm", "delete"},
        {"pull", "import"},     {"download", "import"},  {"encode", "embed"},
        {"logs", "watch"},      {"info", "inspect"},     {"man", "help"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strcmp(rows[i].word, word))
            return rows[i].meant;
    return NULL;
}

static ps_status unknown_command(const char *group, const char *word)
{
    word_list words = {0};
    size_t skip = group ? strlen(group) + 1 : 0;
    for (const ps_command *const *c = ps_commands; *c; c++)
        if (!(*c)->hidden &&
            (!group || (!strncmp((*c)->name, group, skip - 1) && (*c)->name[skip - 1] == ' ')))
            add_word(&words, (*c)->name + skip);
    const char *near = group ? NULL : called_elsewhere(word);
    near = near ? near : ps_conf_nearest(word, nth_word, &words);
    const char *before = group ? group : "", *space = group ? " " : "";
    if (near)
        return ps_fail(PS_INVALID_ARGUMENT, "unknown command '%s%s%s'; did you mean '%s%s%s'?",
                       before, space, word, before, space, near);
    return ps_fail(PS_INVALID_ARGUMENT, "unknown command '%s%s%s'; 'psctl help%s%s' lists them",
                   before, space, word, space, before);
}

/* "model" is a command and the first word of others: what is right behind it says which is meant.
 */
static const ps_command *longer(parser *p, const char *word)
{
    if (p->at == p->argc)
        return NULL;
    char *name = ps_asprintf("%s %s", word, p->argv[p->at]);
    const ps_command *found = ps_command_find(name);
    p->at += found != NULL;
    ps_free(&name);
    return found;
}

static ps_status take_command(parser *p, const char *word)
{
    ps_command_line *line = p->line;
    char *name = line->group ? ps_asprintf("%s %s", line->group, word) : ps_strdup(word);
    line->command = line->group ? NULL : longer(p, word);
    if (!line->command)
        line->command = ps_command_find(name);
    ps_free(&name);
    if (!line->command && !line->group && ps_command_is_group(word)) {
        line->group = word;
        return PS_OK;
    }
    if (!line->command)
        return unknown_command(line->group, word);
    if (line->command->options_size)
        line->options = ps_alloc(line->command->options_size);
    return PS_OK;
}

static ps_status parse_all(parser *p)
{
    bool flags_over = false;
    while (p->at < p->argc) {
        const char *arg = p->argv[p->at++];
        ps_status st = PS_OK;
        if (!flags_over && !strcmp(arg, "--"))
            flags_over = true;
        else if (!flags_over && !strncmp(arg, "--", 2))
            st = long_flag(p, arg);
        else if (!flags_over && arg[0] == '-' && arg[1])
            st = short_flags(p, arg);
        else if (!p->line->command)
            st = take_command(p, arg);
        else
            texts_add(&p->line->args.operands, arg);
        if (st)
            return st;
    }
    return PS_OK;
}

/* The i-th of "FILE NAME", up to the next blank; of "INPUT ..." each is INPUT. */
static const char *operand_name(const ps_command *c, size_t i)
{
    const char *name = c->operands;
    for (const char *next; i--; name = next) {
        next = name + strcspn(name, " ");
        next += *next == ' ';
        if (!*next || *next == '.')
            break;
    }
    return name;
}

/* Of a command that takes a text, the flag that it comes with; NULL: it takes none. */
static const ps_flag *text_flag(const ps_command *c)
{
    for (const ps_flag *f = c->flags; f && f->name; f++)
        if (f->value && !strcmp(f->value, "TEXT|@FILE"))
            return f;
    return NULL;
}

static ps_status too_many(const ps_command *c, const char *first)
{
    const ps_flag *text = text_flag(c);
    char *meant = text ? ps_asprintf(" did you mean --%s '%s'?", text->name, first) : ps_strdup("");
    ps_status st = ps_fail(PS_INVALID_ARGUMENT, "too many arguments: '%s';%s usage: psctl %s%s%s",
                           first, meant, c->name, *c->operands ? " " : "", c->operands);
    ps_free(&meant);
    return st;
}

static ps_status check_count(const ps_command_line *line)
{
    const ps_command *c = line->command;
    size_t n = line->args.operands.n;
    if (!c || (n >= c->least && n <= c->most))
        return PS_OK;
    const char *gap = *c->operands ? " " : "";
    if (n > c->most)
        return too_many(c, line->args.operands.at[c->most]);
    const char *missing = operand_name(c, n);
    return ps_fail(PS_INVALID_ARGUMENT, "%.*s is missing; usage: psctl %s%s%s",
                   (int)strcspn(missing, " "), missing, c->name, gap, c->operands);
}

/* As a variable of the shell that is not set leaves it; no name and no file is called so. */
static ps_status check_none_empty(const ps_command_line *line)
{
    const ps_command *c = line->command;
    for (size_t i = 0; c && i < line->args.operands.n; i++) {
        const char *name = operand_name(c, i);
        name += *name == '[';
        if (!*line->args.operands.at[i])
            return ps_fail(PS_INVALID_ARGUMENT, "%.*s is empty; usage: psctl %s %s",
                           (int)strcspn(name, " ]"), name, c->name, c->operands);
    }
    return PS_OK;
}

/* -h anywhere before "--" wins over every other fault: who asks for help gets it. */
static bool asks(size_t argc, const char *const *argv, const char *name, const char *letter)
{
    for (size_t i = 0; i < argc && strcmp(argv[i], "--"); i++)
        if (!strcmp(argv[i], name) || !strcmp(argv[i], letter))
            return true;
    return false;
}

ps_status ps_args_parse(const ps_flag *global_flags, void *globals, size_t argc,
                        const char *const *argv, ps_command_line *out)
{
    *out = (ps_command_line){.help = asks(argc, argv, "--help", "-h"),
                             .version = asks(argc, argv, "--version", "-V")};
    parser p = {
        .global_flags = global_flags, .globals = globals, .argv = argv, .argc = argc, .line = out};
    ps_status st = parse_all(&p);
    out->args.options = out->options;
    if (out->help && (out->command || out->group || argc == 1))
        return PS_OK;
    if (!st)
        st = check_count(out);
    return st ? st : check_none_empty(out);
}

void ps_command_line_clear(ps_command_line *line)
{
    const ps_command *command = line->command;
    for (const ps_flag *f = command ? command->flags : NULL; f && f->name; f++)
        if (f->type == PS_FLAG_TEXTS && line->options)
            ps_free(&((ps_texts *)(void *)((char *)line->options + f->offset))->at);
    ps_free(&line->options);
    ps_free(&line->args.operands.at);
    *line = (ps_command_line){0};
}
