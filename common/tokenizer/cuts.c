/* The patterns are those that the published tokenizer.json of each model has, where it has one;
 * llama.cpp's own for "default". Letters that are no ASCII are written by number. */
#include "common/tokenizer/cuts.h"

#include "common/base/text.h"
#include "common/json/json.h"

#include <stddef.h>
#include <string.h>

struct ps_cut_step {
    const char *type;
    const char *regex; /* of Split */
    bool flag;         /* Digits: each alone; ByteLevel: GPT-2's pattern */
};

#define SPLIT(regex)          \
    {                         \
        "Split", regex, false \
    }
#define DIGITS               \
    {                        \
        "Digits", NULL, true \
    }
#define LETTERS                  \
    {                            \
        "ByteLevel", NULL, false \
    } /* bytes become letters, nothing is cut */
#define GPT2                    \
    {                           \
        "ByteLevel", NULL, true \
    }

#define SHORT  "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define WORD   "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define OTHER  " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
#define LINES  "\\s*[\\r\\n]+"
#define SPACES "\\s+(?!\\S)|\\s+"
#define UPPER  "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER  "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(e) \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" e "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*" e
#define GPT2_REGEX "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|" SPACES

static const ps_cut_step gpt2[] = {GPT2, {0}};
static const ps_cut_step digits[] = {DIGITS, GPT2, {0}};
static const ps_cut_step llama3[] = {
    SPLIT(SHORT "|" WORD "|\\p{N}{1,3}|" OTHER "|" LINES "|" SPACES), LETTERS, {0}};
static const ps_cut_step qwen2[] = {
    SPLIT(SHORT "|" WORD "|\\p{N}|" OTHER "|" LINES "|" SPACES), LETTERS, {0}};
static const ps_cut_step qwen35[] = {
    SPLIT(
        SHORT
        "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" LINES
        "|" SPACES),
    LETTERS,
    {0}};
static const ps_cut_step gpt4o[] = {
    SPLIT(CASED(SHORT "?") "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" LINES "|" SPACES),
    LETTERS,
    {0}};
static const ps_cut_step tekken[] = {
    SPLIT(CASED("") "|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|" LINES "|" SPACES), LETTERS, {0}};
static const ps_cut_step seed_coder[] = {
    SPLIT(SHORT "|" WORD "|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|" LINES "|" SPACES), LETTERS, {0}};
static const ps_cut_step bailing[] = {SPLIT("'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|"
                                            "\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|"
                                            "\\s*[\\r\\n]|" SPACES),
                                      LETTERS,
                                      {0}};

/* Of DeepSeek */
#define CASED_LETTERS                                                                              \
    "A-Za-z\\x{B5}\\x{C0}-\\x{D6}\\x{D8}-\\x{F6}\\x{F8}-\\x{1BA}\\x{1BC}-\\x{1BF}\\x{1C4}-"        \
    "\\x{293}\\x{295}-\\x{2AF}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37B}-\\x{37D}\\x{37F}"          \
    "\\x{386}\\x{388}-\\x{38A}\\x{38C}\\x{38E}-\\x{3A1}\\x{3A3}-\\x{3F5}\\x{3F7}-\\x{481}"         \
    "\\x{48A}-\\x{52F}\\x{531}-\\x{556}\\x{10A0}-\\x{10C5}\\x{13A0}-\\x{13F5}\\x{13F8}-\\x{13FD}"  \
    "\\x{1C90}-\\x{1CBA}\\x{1CBD}-\\x{1CBF}\\x{1D00}-\\x{1D2B}\\x{1D6B}-\\x{1D77}\\x{1D79}-"       \
    "\\x{1D9A}\\x{1E00}-\\x{1F15}\\x{1F18}-\\x{1F1D}\\x{1F20}-\\x{1F45}\\x{1F48}-\\x{1F4D}"        \
    "\\x{1F50}-\\x{1F57}\\x{1F59}\\x{1F5B}\\x{1F5D}\\x{1F5F}-\\x{1F7D}\\x{1F80}-\\x{1FB4}"         \
    "\\x{1FB6}-\\x{1FBC}\\x{1FBE}\\x{1FC2}-\\x{1FC4}\\x{1FC6}-\\x{1FCC}\\x{1FD0}-\\x{1FD3}"        \
    "\\x{1FD6}-\\x{1FDB}\\x{1FE0}-\\x{1FEC}\\x{1FF2}-\\x{1FF4}\\x{1FF6}-\\x{1FFC}\\x{2102}"        \
    "\\x{2107}\\x{210A}-\\x{2113}\\x{2115}\\x{2119}-\\x{211D}\\x{2124}\\x{2126}\\x{2128}\\x{212A}" \
    "-\\x{212D}\\x{212F}-\\x{2134}\\x{2139}\\x{213C}-\\x{213F}\\x{2145}-\\x{2149}\\x{214E}"        \
    "\\x{2183}\\x{2184}\\x{2C00}-\\x{2C7B}\\x{2C7E}-\\x{2CE4}\\x{2CEB}-\\x{2CEE}\\x{2CF2}"         \
    "\\x{2CF3}\\x{A640}-\\x{A66D}\\x{A680}-\\x{A69B}\\x{A722}-\\x{A76F}\\x{A771}-\\x{A787}"        \
    "\\x{A78B}-\\x{A78E}\\x{AB70}-\\x{ABBF}\\x{FB00}-\\x{FB06}\\x{FB13}-\\x{FB17}\\x{FF21}-"       \
    "\\x{FF3A}\\x{FF41}-\\x{FF5A}\\x{10400}-\\x{1044F}\\x{104B0}-\\x{104D3}\\x{104D8}-\\x{104FB}"  \
    "\\x{10C80}-\\x{10CB2}\\x{10CC0}-\\x{10CF2}\\x{118A0}-\\x{118DF}\\x{1E900}-\\x{1E943}"
#define POINTS "!-/:-~\\x{FF01}-\\x{FF0F}\\x{FF1A}-\\x{FF5E}\\x{2018}-\\x{201F}\\x{3000}-\\x{3002}"
#define HAN    "[\\x{4E00}-\\x{9FA5}\\x{800}-\\x{4E00}\\x{AC00}-\\x{D7FF}]+"

static const ps_cut_step deepseek_llm[] = {SPLIT("[\\r\\n]"),
                                           SPLIT("\\s?[" CASED_LETTERS "]+"),
                                           SPLIT("\\s?[" POINTS "]+"),
                                           SPLIT("\\s+$"),
                                           SPLIT(HAN),
                                           SPLIT("\\p{N}+"),
                                           LETTERS,
                                           {0}};
static const ps_cut_step deepseek_coder[] = {SPLIT("[\\r\\n]"),
                                             SPLIT("\\s?\\p{L}+"),
                                             SPLIT("\\s?\\p{P}+"),
                                             SPLIT(HAN),
                                             DIGITS,
                                             LETTERS,
                                             {0}};
static const ps_cut_step deepseek_v3[] = {
    SPLIT("\\p{N}{1,3}"),
    SPLIT("[\\x{4E00}-\\x{9FA5}\\x{3040}-\\x{309F}\\x{30A0}-\\x{30FF}]+"),
    SPLIT("[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?"
          "[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|" LINES "|" SPACES),
    LETTERS,
    {0}};

#define BLOOM " ?[^(\\s|.,!?\\x{2026}\\x{3002}\\x{FF0C}\\x{3001}\\x{964}\\x{6D4}\\x{60C})]+"
static const ps_cut_step bloom[] = {SPLIT(BLOOM), LETTERS, {0}};
static const ps_cut_step viking[] = {SPLIT(BLOOM), DIGITS, LETTERS, {0}};
static const ps_cut_step falcon[] = {
    {"Punctuation", NULL, false}, GPT2, {"Digits", NULL, false}, SPLIT("[0-9][0-9][0-9]"), {0}};
/* What files of before 2024 mean that do not say */
static const ps_cut_step unnamed[] = {
    SPLIT("[\\p{P}\\$\\+<=>\\^~\\|]+"), SPLIT(GPT2_REGEX), SPLIT("\\p{N}+"),
    SPLIT("[0-9][0-9][0-9]"),           LETTERS,           {0}};

const ps_cuts ps_cuts_rows[] = {
    {"gpt-2 phi-2 jina-es jina-de jina-v1-en jina-v2-es jina-v2-de jina-v2-code roberta-bpe "
     "gigachat a.x-4.0 mellum exaone4 jais trillion granite-docling modern-bert",
     gpt2},
    {"mpt olmo", gpt2, .nfc = true},
    {"llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano", llama3,
     .ignore_merges = true, .add_bos = true},
    {"smaug-bpe dbrx glm4 chatglm-bpe", llama3},
    {"qwen2 deepseek-r1-qwen megrez kormo f2llmv2", qwen2, .nfc = true},
    {"stablelm2 hunyuan grok-2 solar-open", qwen2},
    {"qwen35", qwen35},
    {"smollm starcoder refact codeshell exaone minerva-7b mellum2", digits},
    {"command-r", digits, .nfc = true},
    {"gpt-4o llama4 kanana2 talkie minimax-m2", gpt4o},
    {"tekken", tekken, .ignore_merges = true, .add_bos = true},
    {"deepseek-llm", deepseek_llm},
    {"deepseek-coder", deepseek_coder},
    {"deepseek-v3 hunyuan-dense joyai-llm hy_v4", deepseek_v3},
    {"bloom gpt3-finnish poro-chat", bloom},
    {"viking", viking},
    {"falcon", falcon},
    {"seed-coder", seed_coder},
    {"bailingmoe bailingmoe2 llada-moe", bailing},
    {"default", unnamed},
    {0},
};

static bool has_name(const char *names, const char *name)
{
    size_t len = strlen(name);
    for (const char *at = names; len && (at = strstr(at, name)); at += len)
        if ((at == names || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
            return true;
    return false;
}

const ps_cuts *ps_cuts_find(const char *name)
{
    if (!*name)
        name = "default";
    for (const ps_cuts *row = ps_cuts_rows; row->names; row++)
        if (!strchr(name, ' ') && has_name(row->names, name))
            return row;
    return NULL;
}

static void put_byte_level(ps_json_writer *w, bool space, bool regex)
{
    ps_json_object(w);
    ps_json_put_string(w, "type", "ByteLevel");
    ps_json_put_bool(w, "add_prefix_space", space);
    ps_json_put_bool(w, "trim_offsets", true);
    ps_json_put_bool(w, "use_regex", regex);
    ps_json_object_end(w);
}

static void put_split(ps_json_writer *w, const char *regex)
{
    ps_json_object(w);
    ps_json_put_string(w, "type", "Split");
    ps_json_key(w, "pattern");
    ps_json_object(w);
    ps_json_put_string(w, "Regex", regex);
    ps_json_object_end(w);
    ps_json_put_string(w, "behavior", "Isolated");
    ps_json_put_bool(w, "invert", false);
    ps_json_object_end(w);
}

static void put_step(ps_json_writer *w, const ps_cut_step *step, bool space)
{
    if (step->regex) {
        put_split(w, step->regex);
    } else if (!strcmp(step->type, "ByteLevel")) {
        put_byte_level(w, space, step->flag);
    } else {
        ps_json_object(w);
        ps_json_put_string(w, "type", step->type);
        if (!strcmp(step->type, "Digits"))
            ps_json_put_bool(w, "individual_digits", step->flag);
        else
            ps_json_put_string(w, "behavior", "Contiguous");
        ps_json_object_end(w);
    }
}

void ps_cuts_json(const ps_cuts *cuts, bool space, ps_buf *out)
{
    ps_json_writer w = ps_json_writer_to(out);
    if (!cuts->steps[1].type) {
        put_step(&w, cuts->steps, space);
        return;
    }
    ps_json_object(&w);
    ps_json_put_string(&w, "type", "Sequence");
    ps_json_key(&w, "pretokenizers");
    ps_json_array(&w);
    for (const ps_cut_step *step = cuts->steps; step->type; step++)
        put_step(&w, step, false); /* each piece would get one */
    ps_json_array_end(&w);
    ps_json_object_end(&w);
}

void ps_cuts_byte_level(bool space, bool regex, ps_buf *out)
{
    ps_json_writer w = ps_json_writer_to(out);
    put_byte_level(&w, space, regex);
}
