/* arch: the architectures of models, one row each: keys of the job file's model section, tensors of
 * a language model, and what Hugging Face and llama.cpp call all of these. Read by common/conf
 * (which keys a section takes), common/model (formats) and worker/models (parameters and how they
 * are put together). A new architecture is one file and one word in PS_ARCHS. Everything is
 * constant. Any thread.
 */
#ifndef PS_ARCH_ARCH_H
#define PS_ARCH_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Every row: `ps_arch_NAME` in NAME.c. Messages list them in this order. */
#define PS_ARCHS(X) \
    X(mlp)          \
    X(cnn)          \
    X(gpt2)         \
    X(llama)        \
    X(qwen2)        \
    X(qwen3)        \
    X(mistral)      \
    X(gemma2)       \
    X(gemma3)       \
    X(gpt_neox)     \
    X(bert)         \
    X(sae)          \
    X(tuned_lens)

typedef enum ps_arch_family {
    PS_ARCH_LAYERS,   /* numbers in, layers of which the model section says the widths */
    PS_ARCH_IMAGES,   /* numbers of an image in, convolutions, and layers as above behind them */
    PS_ARCH_LANGUAGE, /* tokens in, a decoder of blocks; all below is for these, and for */
    PS_ARCH_ENCODER,  /* a text or two in, and all of it seen at once: an embedding, or its class */
    PS_ARCH_CODER,    /* numbers in, and the same numbers out: widths as of layers, and no labels */
    PS_ARCH_LENS,     /* the residual stream of a language model in, at all its layers; no labels */
} ps_arch_family;

/* ---- keys of the model section ---- */

typedef enum ps_arch_need {
    PS_ARCH_OPTIONAL,
    PS_ARCH_NEEDED, /* an integer from 1 */
    PS_ARCH_TRUE,   /* a flag that is true unless the section says false; only that is written */
} ps_arch_need;

typedef struct ps_arch_key {
    const char *name; /* NULL ends a list */
    ps_arch_need need;
} ps_arch_key;

/* ---- tensors ---- */

/* A key of the model section by which some tensors are there. */
typedef enum ps_arch_option {
    PS_OPTION_NONE,
    PS_OPTION_ATTENTION_BIAS,
    PS_OPTION_MLP_BIAS,
    PS_OPTION_POOLER,
    PS_OPTION_CLASSES, /* num_classes is not 0 */
    PS_OPTIONS,
} ps_arch_option;

/* f of the MLP. */
typedef enum ps_arch_act {
    PS_ACT_OWN, /* the architecture's */
    PS_ACT_GELU_TANH,
    PS_ACT_GELU,
    PS_ACT_RELU,
    PS_ACT_SILU,
    PS_ACTS,
} ps_arch_act;
extern const char *const ps_arch_act_names[]; /* "default", "gelu_tanh", …, to a NULL */

/* What a section says of how a language model is computed, beside its sizes and its rotary
 * positions: those keys that its architecture has, and the defaults of others, by which nothing is
 * done. */
typedef struct ps_arch_choices {
    bool attention_bias, mlp_bias; /* products have biases */
    bool parallel_residual;        /* both halves of a block read what comes in */
    unsigned hidden_act;           /* ps_arch_act */
    int64_t sliding_window;        /* keys that a query sees, its own the last; 0: all up to it */
    int64_t full_attention_every;  /* every so manieth block sees all; 0: none does */
    int64_t full_attention_first;  /* and so do so many, the first ones */
    double query_pre_attn_scalar;  /* scores are divided by its root; 0: by that of head_dim */
    double attention_softcap, logit_softcap; /* cap · tanh(x / cap); 0: not */
    double embedding_dropout;                /* of embeddings, in training; < 0: dropout */
    double attention_dropout;                /* of attention's weights, likewise */
    /* encoders */
    int64_t type_vocab_size;   /* kinds of texts: the first, and the second of a pair */
    int64_t num_classes;       /* that a text may be of; 0: it is embedded alone */
    bool pooler;               /* a layer and its tanh between the first token and the classes */
    double classifier_dropout; /* of what the classes are made of, in training; < 0: dropout */
} ps_arch_choices;

/* What a tensor belongs to, in the order of the forward pass. What an architecture has says what
 * is computed: POSITIONS are learnt, and without them queries and keys are turned (RoPE); a norm
 * with a bias is a LayerNorm, else an RMSNorm; QKV is one product, Q, K and V are three; NORM_Q
 * and NORM_K are of each head's numbers, before they are turned; with GATE the MLP is f(gate) · up,
 * without it f(up), f as the traits say; NORM_AFTER is of what a half gives, before it is added,
 * and NORM_ADDED of the sum; NORM_EMBEDDING is of all that the embedding adds up. Norms that are
 * not there change nothing. Without HEAD the embedding is always the head. */
typedef enum ps_arch_part {
    PS_PART_TOKENS,
    PS_PART_POSITIONS,
    PS_PART_TYPES, /* of a text: the first, or the second of a pair */
    PS_PART_NORM_EMBEDDING,
    PS_PART_NORM_ATTENTION, /* from here on of each block */
    PS_PART_QKV,
    PS_PART_Q,
    PS_PART_K,
    PS_PART_V,
    PS_PART_NORM_Q,
    PS_PART_NORM_K,
    PS_PART_O,
    PS_PART_NORM_AFTER_ATTENTION,
    PS_PART_NORM_ADDED_ATTENTION,
    PS_PART_NORM_MLP,
    PS_PART_GATE,
    PS_PART_UP,
    PS_PART_DOWN,
    PS_PART_NORM_AFTER_MLP,
    PS_PART_NORM_ADDED_MLP, /* up to here */
    PS_PART_NORM,
    PS_PART_POOLER,  /* tanh of it, of a text's first token */
    PS_PART_CLASSES, /* of what the pooler gives, or of the first token */
    PS_PART_HEAD,    /* not there when the section ties it */
    PS_PARTS,
} ps_arch_part;

typedef enum ps_arch_place { PS_PLACE_BEFORE, PS_PLACE_BLOCK, PS_PLACE_AFTER } ps_arch_place;

/* Sides of a shape. */
typedef enum ps_arch_side {
    PS_SIDE_NONE,
    PS_SIDE_VOCAB,
    PS_SIDE_CONTEXT,
    PS_SIDE_HIDDEN, /* of the residual stream */
    PS_SIDE_HEADS,  /* of all heads of queries */
    PS_SIDE_KV,     /* of all key heads */
    PS_SIDE_QKV,    /* of all heads */
    PS_SIDE_INNER,
    PS_SIDE_HEAD, /* of one head */
    PS_SIDE_TYPES,
    PS_SIDE_CLASSES,
} ps_arch_side;

/* What becomes of it in a GGUF file. */
typedef enum ps_arch_change {
    PS_LM_SAME,
    PS_LM_TRANSPOSE,  /* the weight is Conv1D's [in, out]; there [out, in] */
    PS_LM_PLUS_ONE,   /* a gain that is stored less 1 */
    PS_LM_ROPE_PAIRS, /* rows of each head: halves that rotate to pairs that rotate */
} ps_arch_change;

/* What it begins as; psd has the numbers (layout.c). */
typedef enum ps_arch_start {
    PS_START_ZEROS,
    PS_START_ONES,
    PS_START_NORMAL,   /* deviation 0.02 */
    PS_START_RESIDUAL, /* less of what is added to the residual stream, by how often that happens */
} ps_arch_start;

/* Rows stand in the order of the forward pass; a bias comes right behind its weight. */
typedef struct ps_arch_tensor {
    ps_arch_part part;
    const char *name, *gguf; /* gguf NULL: llama.cpp has none; of blocks without what stands before:
                                "h.%d.", "blk.%d." */
    ps_arch_side sides[2];   /* as stored in psd and by Hugging Face */
    ps_arch_start start;
    ps_arch_change change;
    bool bias;     /* of the layer or the norm */
    bool by_heads; /* of QKV: Hugging Face has each head's queries, keys and values together, where
                      psd and llama.cpp have all queries, all keys, all values (hf_rows.h) */
    ps_arch_option option; /* there only where the section says true to it; NONE: always */
} ps_arch_tensor;

/* ---- Hugging Face's config.json ---- */

/* A key that is read: becomes one of the model section, or must have a certain value. */
typedef struct ps_arch_hf_key {
    const char *key;      /* NULL ends a list */
    const char *name;     /* the key of the model section */
    const char *fallback; /* of transformers, where the key is absent; NULL: left out */
    const char *words;    /* its values, and what the section calls each: "silu=silu swish=silu" */
    const char *only;     /* or: the values that are allowed, each between spaces */
    const char *alias;    /* what the key may be called as well */
    bool list;            /* a list is taken when it says one word for all layers, or, as
                             "every 6", full_attention for each sixth of them and not for others */
    const char *null;     /* what null says; NULL: what the key's absence does */
} ps_arch_hf_key;

/* A key that is written: the value of `name` in the model section, or JSON as it is. */
typedef struct ps_arch_hf_out {
    const char *key; /* NULL ends a list */
    const char *name, *json;
    bool own_heads;      /* only where ps_spec_model_has_own_heads */
    bool rope;           /* the object of what rope_* of the section say, or null */
    bool layers;         /* a list of sliding_attention and full_attention, one a layer */
    bool windowed;       /* only where there is a sliding_window */
    bool whether;        /* false where the number is 0, else true */
    bool zero_null;      /* 0 is null */
    bool whole;          /* without a point where it can be */
    const char *words;   /* of a word, what it is called there: "gelu_tanh=gelu_new" */
    const char *or_else; /* the key that counts where this one says nothing: a rate below 0, or 0 */
} ps_arch_hf_out;

/* ---- GGUF ---- */

/* A key, behind the architecture's name, beside those that all have; a whole number, unless it
 * says what else. */
typedef struct ps_arch_gguf_key {
    const char *key;  /* NULL ends a list */
    const char *name; /* of the model section */
    bool real, flag;
    bool share; /* of a head's numbers: how many; the section has the share */
    bool needed;
    bool implied;          /* follows from other keys: when it is there, it must be that number */
    bool unwritten;        /* by psd */
    bool own_heads;        /* written only where ps_spec_model_has_own_heads */
    bool nonzero;          /* written only where it is not 0 */
    const char *otherwise; /* what a file without it means; NULL: what the section does */
} ps_arch_gguf_key;

/* What llama.cpp computes and has no key for: a model that says otherwise has no GGUF file. */
typedef struct ps_arch_gguf_fixed {
    const char *name; /* of the model section; NULL ends a list */
    int64_t value;
    bool by_tensors; /* of a file its tensors say it; else it is so */
} ps_arch_gguf_fixed;

/* ---- the row ---- */

typedef struct ps_arch {
    const char *name; /* in the job file */
    const char
        *gguf_name; /* llama.cpp's; NULL: the same. Of rows that share one the first is read */
    ps_arch_family family;
    const ps_arch_key *keys; /* of the model section, but `architecture` */

    /* language models */
    struct {
        ps_arch_act act;       /* unless the section says another */
        bool gains_less_one;   /* gains of norms are stored less 1, and begin as zeros */
        bool scaled_embedding; /* the embedding's rows are times √hidden_size */
    } traits;
    const ps_arch_tensor *tensors;
    size_t n_tensors;
    const char *block; /* what the names of block 7 have before ".7." */
    struct {
        const char *type;           /* of `architectures`: "LlamaForCausalLM" */
        const char *model_type;     /* NULL: the name */
        const char *type_classes;   /* likewise, where it has classes; NULL: it never has */
        const char *prefix;         /* of names in a model that is saved whole; NULL: none */
        const char *outside;        /* names that begin so are outside of it; NULL: none are. With
                                       classes all others are written with it */
        const char *type_images;    /* model_type of a model of images and texts whose text_config
                                       is this one's; NULL: there is none */
        const char *prefix_images;  /* of names in that, likewise */
        const char *const *others;  /* what names of tensors begin with that are no part of it, as
                                       other heads, to NULL; NULL: there are none */
        const char *const *buffers; /* ends of names of what transformers makes anew, to NULL */
        const char *const (*older)[2]; /* ends of names in older files, and what they are now, to
                                          NULL; NULL: there are none */
        const ps_arch_hf_key *keys;
        const ps_arch_hf_out *out;
    } hf;
    const ps_arch_gguf_key *gguf;
    const ps_arch_gguf_fixed *gguf_fixed; /* NULL: nothing */
    bool gguf_factors;       /* llama.cpp divides its frequencies by rope_freqs.weight */
    int64_t gguf_by_width;   /* of a model of so many blocks llama.cpp divides scores by the root of
                                hidden_size / num_heads, and of others by that of head_dim */
    const char *gguf_remark; /* what llama.cpp computes a little otherwise; NULL */
    const char *gguf_pre;    /* tokenizer.ggml.pre of files that do not say; NULL: must be said */
} ps_arch;

#define PS_ARCH_DECLARE(name) extern const ps_arch ps_arch_##name;
PS_ARCHS(PS_ARCH_DECLARE)
#undef PS_ARCH_DECLARE

/* All rows, and their names, each to a NULL. */
extern const ps_arch *const ps_archs[];
extern const char *const ps_arch_names[];

const ps_arch *ps_arch_find(const char *name); /* NULL: there is none */
/* By model_type of config.json, likewise; of language models. */
const ps_arch *ps_arch_find_hf(const char *model_type);
const char *ps_arch_model_type(const ps_arch *arch);
const ps_arch *ps_arch_find_gguf(const char *name); /* by llama.cpp's; likewise */
const char *ps_arch_gguf_name(const ps_arch *arch);
const ps_arch_key *ps_arch_key_find(const ps_arch *arch, const char *name); /* NULL: none */
bool ps_arch_has(const ps_arch *arch, ps_arch_part part);
/* Of the part's weight, as Hugging Face has it (of blocks, behind their name); NULL: there is none.
 */
const char *ps_arch_weight(const ps_arch *arch, ps_arch_part part);
ps_arch_place ps_arch_place_of(ps_arch_part part);
bool ps_arch_is_norm(ps_arch_part part);
/* Is it of what stands behind an encoder's blocks, and may be put there later? */
bool ps_arch_is_added(const ps_arch *arch, const char *name);
ps_arch_act ps_arch_act_of(const ps_arch *arch, const ps_arch_choices *choices); /* not OWN */
/* Of block `layer`, from 0: does a query there see sliding_window keys alone? */
bool ps_arch_slides(const ps_arch_choices *choices, int64_t layer);
/* True of an option of the choices; NONE: always. */
bool ps_arch_has_option(const ps_arch_choices *choices, ps_arch_option option);
bool ps_arch_reads_tokens(const ps_arch *arch);        /* what common/arch/layout.h lays out */
const char *ps_arch_option_key(ps_arch_option option); /* of the model section; not of NONE */

/* For messages: "gpt2, llama". */
typedef struct ps_arch_list {
    char text[256];
} ps_arch_list;
ps_arch_list ps_arch_list_all(void);
ps_arch_list ps_arch_list_language(void);
ps_arch_list ps_arch_list_model_types(void); /* of all that read tokens */
ps_arch_list ps_arch_list_tokens(void);      /* all that read tokens */

#endif
