/* Happy path: an image of three sizes, and convolution by convolution it becomes smaller and is
 * still there. The first that does not fit is reported on the line of its key, with the size of
 * what comes to it. */
#include "common/conf/convolution_spec.h"

#include "common/base/require.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const norm_words[] = {"group", "none", NULL};
static const char *const pool_words[] = {"none", "max", "average", "global", NULL};

/* 0, or for padding "not said", is what follows from the other keys. */
const ps_conf_key ps_spec_convolution_keys[] = {
    PS_CONF_INT("channels", ps_convolution, channels, NULL, 1, 65536),
    PS_CONF_INT("kernel", ps_convolution, kernel, "3", 1, 31),
    PS_CONF_INT("stride", ps_convolution, stride, "1", 1, 31),
    PS_CONF_INT("padding", ps_convolution, padding, PS_CONF_UNSAID, 0, 30),
    PS_CONF_WORD("norm", ps_convolution, norm, "group", norm_words),
    PS_CONF_INT("norm_groups", ps_convolution, norm_groups, "0", 0, 65536),
    PS_CONF_WORD("pool", ps_convolution, pool, "none", pool_words),
    PS_CONF_INT("pool_size", ps_convolution, pool_size, "0", 0, 16),
    PS_CONF_INT("pool_stride", ps_convolution, pool_stride, "0", 0, 16),
    PS_CONF_END,
};

enum { GROUPS = 8 /* the most that are taken unasked */, NUMBERS_MOST = 1 << 24 };

typedef struct place {
    const ps_conf_doc *doc;
    const char *prefix;
    size_t i;
} place;

typedef struct path {
    char text[96];
} path;

static path path_of(const place *p, const char *key)
{
    path out;
    (void)snprintf(out.text, sizeof out.text, "%sconvolutions[%zu].%s", p->prefix, p->i, key);
    return out;
}

static ps_status settle_norm(const place *p, ps_convolution *c)
{
    if (c->norm == PS_CONVOLUTION_NO_NORM && c->norm_groups)
        return ps_conf_fail(p->doc, path_of(p, "norm_groups").text, "only with norm group");
    if (c->norm == PS_CONVOLUTION_NO_NORM)
        return PS_OK;
    int64_t groups = c->norm_groups ? c->norm_groups : GROUPS;
    while (!c->norm_groups && c->channels % groups)
        groups--;
    c->norm_groups = groups;
    if (c->channels % groups)
        return ps_conf_fail(p->doc, path_of(p, "norm_groups").text,
                            "%" PRId64 " does not divide channels, %" PRId64, groups, c->channels);
    return PS_OK;
}

static ps_status settle_pool(const place *p, ps_convolution *c)
{
    bool window = c->pool == PS_CONVOLUTION_MAX || c->pool == PS_CONVOLUTION_AVERAGE;
    if (!window && (c->pool_size || c->pool_stride))
        return ps_conf_fail(p->doc, path_of(p, c->pool_size ? "pool_size" : "pool_stride").text,
                            "only with pool max or average");
    if (window && !c->pool_size)
        c->pool_size = 2;
    if (window && !c->pool_stride)
        c->pool_stride = c->pool_size;
    return PS_OK;
}

static bool there(ps_image_size s)
{
    return s.height > 0 && s.width > 0;
}

/* *size: of what comes to it, and then of what it leaves. */
static ps_status settle_one(const place *p, ps_convolution *c, ps_image_size *size)
{
    if (c->padding < 0)
        c->padding = (c->kernel - 1) / 2;
    if (c->padding >= c->kernel)
        return ps_conf_fail(p->doc, path_of(p, "padding").text,
                            "%" PRId64 " is not less than kernel, %" PRId64, c->padding, c->kernel);
    ps_status st = settle_norm(p, c);
    if (!st)
        st = settle_pool(p, c);
    if (st)
        return st;
    ps_image_size given = ps_convolution_given(c, *size);
    if (!there(given))
        return ps_conf_fail(p->doc, path_of(p, "kernel").text,
                            "%" PRId64 " is more than there is: %" PRId64 " × %" PRId64
                            " pixels, with %" PRId64 " of padding on each side",
                            c->kernel, size->height, size->width, c->padding);
    if (ps_image_numbers(given) > NUMBERS_MOST)
        return ps_conf_fail(p->doc, path_of(p, "channels").text,
                            "%" PRId64 " × %" PRId64 " × %" PRId64
                            " numbers of an image are more than %d",
                            given.channels, given.height, given.width, NUMBERS_MOST);
    if (ps_convolution_row(c, *size, given) > PS_CONVOLUTION_ROW_MAX)
        return ps_conf_fail(p->doc, path_of(p, "kernel").text,
                            "%" PRId64 " is more than there is room for with so many channels and "
                            "pixels: a row of them is made of more than %d numbers",
                            c->kernel, PS_CONVOLUTION_ROW_MAX);
    *size = ps_convolution_pooled(c, given);
    if (!there(*size))
        return ps_conf_fail(p->doc, path_of(p, "pool_size").text,
                            "%" PRId64 " is more than there is: %" PRId64 " × %" PRId64 " pixels",
                            c->pool_size, given.height, given.width);
    return PS_OK;
}

static ps_status settle_list(ps_spec_model *m, place *p, ps_image_size *size)
{
    ps_status st = PS_OK;
    for (p->i = 0; !st && p->i < m->n_convolutions; p->i++)
        st = settle_one(p, &m->convolutions[p->i], size);
    return st;
}

static ps_status missing(const ps_conf_doc *doc, const char *prefix, const char *key,
                         const char *what)
{
    path at;
    (void)snprintf(at.text, sizeof at.text, "%s%s", prefix, key);
    return ps_conf_fail(doc, at.text, "%s", what);
}

ps_status ps_spec_convolutions_settle(ps_spec_model *m, const ps_conf_doc *doc, const char *prefix)
{
    place p = {.doc = doc, .prefix = prefix};
    if (m->n_image != 3)
        return missing(doc, prefix, "image",
                       "three sizes are required here: channels, height and width");
    if (!m->n_convolutions)
        return missing(doc, prefix, "convolutions",
                       "missing; a list of convolutions is required here");
    if (!m->n_layers)
        return missing(doc, prefix, "layers",
                       "missing; the widths of the linear layers behind the convolutions are "
                       "required here, the last of them the number of outputs");
    ps_image_size size = ps_spec_model_image(m);
    if (ps_image_numbers(size) > NUMBERS_MOST)
        return missing(doc, prefix, "image", "more than 16777216 numbers");
    return settle_list(m, &p, &size);
}

ps_image_size ps_spec_model_image(const ps_spec_model *m)
{
    return (ps_image_size){m->image[0], m->image[1], m->image[2]};
}

size_t ps_spec_model_linears(const ps_spec_model *m)
{
    return ps_spec_model_is_images(m) ? m->n_layers : m->n_layers - 1;
}

int64_t ps_spec_model_width(const ps_spec_model *m, size_t i)
{
    PS_REQUIRE(i <= ps_spec_model_linears(m));
    if (!ps_spec_model_is_images(m))
        return m->layers[i];
    return i ? m->layers[i - 1] : ps_spec_model_features(m);
}

int64_t ps_spec_model_features(const ps_spec_model *m)
{
    ps_image_size size = ps_spec_model_image(m);
    for (size_t i = 0; i < m->n_convolutions; i++)
        size = ps_convolution_pooled(&m->convolutions[i],
                                     ps_convolution_given(&m->convolutions[i], size));
    return ps_image_numbers(size);
}
