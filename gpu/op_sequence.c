/* Checks, then one call through the table: what transformers are made of. */
#include "common/base/require.h"
#include "gpu/op.h"
#include "gpu/op_check.h"

/* Rows of a table [entries,columns] by number: rows[n,columns], ids[n]. */
static void check_lookup(ps_tensor rows, ps_tensor table, ps_tensor ids)
{
    PS_REQUIRE(rows.rank == 2 && table.rank == 2 && rows.shape[1] == table.shape[1]);
    ps_op_check_count(ids, PS_DTYPE_I32, rows.shape[0]);
}

void ps_op_embedding(ps_stream *s, ps_tensor y, ps_tensor table, ps_tensor ids, bool add)
{
    ps_op_check_real(y);
    ps_op_check(table, y.dtype);
    check_lookup(y, table, ids);
    if (!ps_op_skip(s))
        s->backend->ops->embedding(s, y, table, ids, add);
}

void ps_op_embedding_backward(ps_stream *s, ps_tensor dtable, ps_tensor dy, ps_tensor ids)
{
    ps_op_check_real(dy);
    ps_op_check(dtable, PS_DTYPE_F32);
    check_lookup(dy, dtable, ids);
    if (!ps_op_skip(s))
        s->backend->ops->embedding_backward(s, dtable, dy, ids);
}

/* Rows of a norm: dense, or `each` in every ld elements. */
static void check_norm_rows(ps_tensor t, ps_tensor like, int64_t each, int64_t ld)
{
    ps_op_check_same(t, like);
    if (each == 0)
        return;
    int64_t rows = like.shape[0], columns = like.shape[1];
    PS_REQUIRE(each > 0 && rows % each == 0);
    ps_op_check_span(
        t, (ps_op_span){.rows = rows / each, .columns = each * columns, .ld = ld, .batch = 1});
}

static void check_norm(const ps_norm *n, bool centred)
{
    ps_op_check_real(n->x);
    PS_REQUIRE(n->x.rank == 2 && n->epsilon >= 0);
    check_norm_rows(n->x, n->x, n->each, n->ld_x);
    check_norm_rows(n->y, n->x, n->each, n->ld_y);
    bool in_place = n->y.buffer == n->x.buffer && n->y.offset == n->x.offset;
    PS_REQUIRE(in_place ? n->each == 0 || n->ld_y == n->ld_x : !ps_op_overlap(n->x, n->y));
    ps_op_check_count(n->gain, n->x.dtype, n->x.shape[1]);
    ps_op_check_count(n->rstd, PS_DTYPE_F32, n->x.shape[0]);
    PS_REQUIRE(ps_tensor_present(n->bias) == centred && ps_tensor_present(n->mean) == centred);
    if (!centred)
        return;
    ps_op_check_count(n->bias, n->x.dtype, n->x.shape[1]);
    ps_op_check_count(n->mean, PS_DTYPE_F32, n->x.shape[0]);
}

static void check_norm_backward(const ps_norm_backward *n, bool centred)
{
    ps_op_check_real(n->x);
    PS_REQUIRE(n->x.rank == 2);
    check_norm_rows(n->x, n->x, n->each, n->ld_x);
    check_norm_rows(n->dy, n->x, n->each, n->ld_dy);
    check_norm_rows(n->dx, n->x, n->each, n->ld_dy);
    PS_REQUIRE(!ps_op_overlap(n->dx, n->x));
    PS_REQUIRE(!n->add_dx || !ps_op_overlap(n->dx, n->dy));
    ps_op_check_count(n->gain, n->x.dtype, n->x.shape[1]);
    ps_op_check_count(n->rstd, PS_DTYPE_F32, n->x.shape[0]);
    bool parameters = ps_tensor_present(n->dgain);
    PS_REQUIRE(ps_tensor_present(n->dbias) == (centred && parameters));
    PS_REQUIRE(ps_tensor_present(n->mean) == centred);
    if (centred)
        ps_op_check_count(n->mean, PS_DTYPE_F32, n->x.shape[0]);
    if (parameters)
        ps_op_check_count(n->dgain, PS_DTYPE_F32, n->x.shape[1]);
    if (centred && parameters)
        ps_op_check_count(n->dbias, PS_DTYPE_F32, n->x.shape[1]);
}

void ps_op_layernorm(ps_stream *s, const ps_norm *n)
{
    check_norm(n, true);
    if (!ps_op_skip(s))
        s->backend->ops->layernorm(s, n);
}

void ps_op_layernorm_backward(ps_stream *s, const ps_norm_backward *n)
{
    check_norm_backward(n, true);
    if (!ps_op_skip(s))
        s->backend->ops->layernorm_backward(s, n);
}

void ps_op_rmsnorm(ps_stream *s, const ps_norm *n)
{
    check_norm(n, false);
    if (!ps_op_skip(s))
        s->backend->ops->rmsnorm(s, n);
}

void ps_op_rmsnorm_backward(ps_stream *s, const ps_norm_backward *n)
{
    check_norm_backward(n, false);
    if (!ps_op_skip(s))
        s->backend->ops->rmsnorm_backward(s, n);
}

void ps_op_rope(ps_stream *s, const ps_rope *r)
{
    int64_t turned = r->rotary_dim ? r->rotary_dim : r->head_dim;
    PS_REQUIRE(turned > 0 && turned % 2 == 0 && turned <= r->head_dim && r->heads > 0);
    ps_op_check_span(
        r->x,
        (ps_op_span){.rows = r->rows, .columns = r->heads * r->head_dim, .ld = r->ld, .batch = 1});
    ps_op_check_count(r->positions, PS_DTYPE_I32, r->rows);
    ps_op_check_shape(r->table, PS_DTYPE_F32, 3);
    PS_REQUIRE(r->table.shape[1] == turned / 2 && r->table.shape[2] == 2);
    if (!ps_op_skip(s))
        s->backend->ops->rope(s, r);
}

/* queries-like (q, y) or keys-like (k, v) rows of all sequences. */
static void check_rows(const ps_attention *a, ps_tensor t, bool keys, int64_t ld)
{
    int64_t heads = keys ? a->kv_heads : a->heads;
    ps_op_check_rows(t, (ps_op_span){.rows = keys ? a->keys : a->queries,
                                     .columns = heads * a->head_dim,
                                     .ld = ld,
                                     .batch = a->batch,
                                     .stride = (keys ? a->key_rows : a->queries) * ld});
}

/* How numbers may be kept in a cache, of T as they are computed with. */
static void check_kept(ps_tensor kept, ps_tensor scales, ps_dtype type, int64_t count)
{
    bool narrow = type == PS_DTYPE_F32 && kept.dtype != PS_DTYPE_F32;
    PS_REQUIRE(kept.dtype == type || (narrow && kept.dtype == PS_DTYPE_BF16) ||
               (narrow && kept.dtype == PS_DTYPE_I8));
    PS_REQUIRE(ps_tensor_present(scales) == (kept.dtype == PS_DTYPE_I8));
    if (ps_tensor_present(scales))
        ps_op_check_count(scales, PS_DTYPE_F32, count);
}

static void check_seen(const ps_attention *a)
{
    PS_REQUIRE(a->dropout >= 0 && a->dropout < 1);
    PS_REQUIRE(a->window >= 0 && (a->window == 0 || a->causal) && a->softcap >= 0);
    if (ps_tensor_present(a->starts))
        ps_op_check_count(a->starts, PS_DTYPE_I32, a->batch * a->queries);
    if (ps_tensor_present(a->ends))
        ps_op_check_count(a->ends, PS_DTYPE_I32, a->batch * a->queries);
}

static void check_scores(const ps_attention *a)
{
    check_seen(a);
    PS_REQUIRE(a->queries <= a->keys && a->keys <= a->key_rows);
    PS_REQUIRE(a->kv_heads > 0 && a->heads % a->kv_heads == 0 && a->head_dim > 0);
    check_rows(a, a->q, false, a->ld_q);
    check_rows(a, a->k, true, a->ld_k);
    if (ps_tensor_present(a->lse))
        ps_op_check_count(a->lse, PS_DTYPE_F32, a->batch * a->heads * a->queries);
}

static void check_attention(const ps_attention *a)
{
    check_scores(a);
    check_rows(a, a->v, true, a->ld_v);
    check_rows(a, a->y, false, a->ld_y);
    PS_REQUIRE(a->q.dtype == PS_DTYPE_F32 || a->q.dtype == PS_DTYPE_BF16);
    PS_REQUIRE(a->y.dtype == a->q.dtype && a->v.dtype == a->k.dtype);
    int64_t scales = a->batch * a->key_rows * a->kv_heads;
    check_kept(a->k, a->k_scales, a->q.dtype, scales);
    check_kept(a->v, a->v_scales, a->q.dtype, scales);
}

void ps_op_attention(ps_stream *s, const ps_attention *a)
{
    check_attention(a);
    if (!ps_op_skip(s))
        s->backend->ops->attention(s, a);
}

void ps_op_attention_backward(ps_stream *s, const ps_attention_backward *b)
{
    const ps_attention *a = b->forward;
    check_attention(a);
    PS_REQUIRE(a->k.dtype == a->q.dtype && b->dq.dtype == a->q.dtype && b->dk.dtype == a->q.dtype &&
               b->dv.dtype == a->q.dtype && b->dy.dtype == a->q.dtype);
    PS_REQUIRE(ps_tensor_present(a->lse) && a->keys == a->queries && a->key_rows == a->keys);
    check_rows(a, b->dq, false, a->ld_q);
    check_rows(a, b->dk, true, a->ld_k);
    check_rows(a, b->dv, true, a->ld_v);
    check_rows(a, b->dy, false, a->ld_y);
    ps_op_check_same(b->delta, a->lse);
    if (!ps_op_skip(s))
        s->backend->ops->attention_backward(s, b);
}

void ps_op_attention_weights(ps_stream *s, const ps_attention_weights *w)
{
    const ps_attention *a = w->forward;
    check_scores(a);
    ps_op_check_real(a->q);
    PS_REQUIRE(a->k.dtype == a->q.dtype && ps_tensor_present(a->lse));
    PS_REQUIRE(w->p.rank > 0 && w->p.shape[w->p.rank - 1] >= a->keys);
    ps_op_check_count(w->p, PS_DTYPE_F32,
                      a->batch * a->heads * a->queries * w->p.shape[w->p.rank - 1]);
    if (!ps_op_skip(s))
        s->backend->ops->attention_weights(s, w);
}

void ps_op_cache_rows(ps_stream *s, const ps_cache_rows *c)
{
    PS_REQUIRE(c->rows > 0 && c->columns > 0 && c->block > 0 && c->columns % c->block == 0);
    ps_op_check_real(c->x);
    ps_op_check_span(
        c->x, (ps_op_span){.rows = c->rows, .columns = c->columns, .ld = c->ld_x, .batch = 1});
    ps_op_check_count(c->y, c->y.dtype, c->rows * c->columns);
    check_kept(c->y, c->scales, c->x.dtype, c->rows * (c->columns / c->block));
    if (!ps_op_skip(s))
        s->backend->ops->cache_rows(s, c);
}
