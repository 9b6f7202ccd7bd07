/* SPDX-License-Identifier: Apache-2.0 */
/* The pickle machine of Lib/pickletools.py (CPython), protocols 2 to 5, cut down to what torch.save
 * writes. A value is never copied: stack, memo and containers hold pointers into the arena. */
#include <stdarg.h>

#include "store/pickle_impl.h"

enum { STACK_MAX = 1 << 20, MEMO_MAX = 1 << 22, STORAGES_MAX = 1 << 15 };

struct machine {
    struct t3di_pickle_reader *r;
    struct t3di_pickled **stack; /* NULL = a mark */
    size_t n, capacity;
    struct t3di_pickled **memo;
    size_t memo_capacity, memo_next;
};

int t3di_pickle_bad(struct t3di_pickle_reader *r, const char *fmt, ...)
{
    char text[256];
    va_list list;

    va_start(list, fmt);
    vsnprintf(text, sizeof text, fmt, list);
    va_end(list);
    return t3d_err_set(r->err, T3D_SKIP, "bad-pickle", "'%s' %s", r->name, text);
}

static int bad(struct machine *m, const char *what)
{
    return t3di_pickle_bad(m->r, "%s (byte %zu)", what, m->r->at);
}

int t3di_pickle_too_large(struct t3di_pickle_reader *r)
{
    return t3d_err_set(r->err, T3D_SKIP, "too-large",
                       "'%s' needs more memory for its names and values than weights do", r->name);
}

static int no_memory(struct machine *m)
{
    return t3di_pickle_too_large(m->r);
}

/* Room for one more in a growing array of pointers. */
static int grow(struct t3d_arena *a, struct t3di_pickled ***array, size_t n, size_t *capacity)
{
    size_t more = *capacity ? *capacity * 2 : 8;
    struct t3di_pickled **p;

    if (n < *capacity)
        return 0;
    p = t3d_alloc(a, more, sizeof *p);
    if (!p)
        return -1;
    if (n)
        memcpy(p, *array, n * sizeof *p);
    *array = p;
    *capacity = more;
    return 0;
}

int t3di_pickle_append(struct t3d_arena *a, struct t3di_pickled *v, struct t3di_pickled *item)
{
    if (grow(a, &v->item, v->size, &v->capacity) < 0)
        return -1;
    v->item[v->size++] = item;
    return 0;
}

int t3di_pickle_is(const struct t3di_pickled *v, const char *s)
{
    return v->kind == T3DI_P_TEXT && v->size == strlen(s) && memcmp(v->text, s, v->size) == 0;
}

static int push(struct machine *m, struct t3di_pickled *v)
{
    if (m->n == STACK_MAX)
        return bad(m, "has a pickle whose stack grows without end");
    if (grow(&m->r->scratch, &m->stack, m->n, &m->capacity) < 0)
        return no_memory(m);
    m->stack[m->n++] = v;
    return T3D_OK;
}

static struct t3di_pickled *new_value(struct machine *m, enum t3di_pickle_kind kind)
{
    struct t3di_pickled *v = t3d_alloc(&m->r->scratch, 1, sizeof *v);

    if (v)
        v->kind = kind;
    return v;
}

static int push_new(struct machine *m, enum t3di_pickle_kind kind, int64_t number)
{
    struct t3di_pickled *v = new_value(m, kind);

    if (!v)
        return no_memory(m);
    v->number = number;
    return push(m, v);
}

/* n bytes of the pickle, or NULL when it is cut off. */
static const uint8_t *take(struct machine *m, uint64_t n)
{
    const uint8_t *p = m->r->data + m->r->at;

    if (n > m->r->size - m->r->at)
        return NULL;
    m->r->at += n;
    return p;
}

/* A little-endian number of that many bytes (at most 8). */
static int take_number(struct machine *m, int bytes, uint64_t *out)
{
    const uint8_t *p = take(m, (uint64_t)bytes);

    *out = 0;
    if (!p)
        return bad(m, "is cut off in a pickle");
    while (bytes--)
        *out = *out << 8 | p[bytes];
    return T3D_OK;
}

static int push_text(struct machine *m, int length_bytes)
{
    uint64_t n = 0;
    struct t3di_pickled *v;
    int r = take_number(m, length_bytes, &n);

    if (r < 0)
        return r;
    v = new_value(m, T3DI_P_TEXT);
    if (!v)
        return no_memory(m);
    v->text = (const char *)take(m, n);
    v->size = n;
    return v->text ? push(m, v) : bad(m, "is cut off in a text of a pickle");
}

/* LONG1: two's complement of any length. */
static int push_long(struct machine *m)
{
    const uint8_t *p;
    uint64_t n = 0, number;
    struct t3di_pickled *v;
    int r = take_number(m, 1, &n);

    if (r < 0)
        return r;
    p = take(m, n);
    v = new_value(m, n > 8 ? T3DI_P_BIG : T3DI_P_INT);
    if (!p)
        return bad(m, "is cut off in a number of a pickle");
    if (!v)
        return no_memory(m);
    v->text = (const char *)p;
    v->size = n;
    number = n && n <= 8 && p[n - 1] & 0x80 ? UINT64_MAX : 0;
    for (uint64_t i = n <= 8 ? n : 0; i-- > 0;)
        number = number << 8 | p[i];
    memcpy(&v->number, &number, sizeof number);
    return push(m, v);
}

static int push_integer(struct machine *m, int bytes)
{
    uint64_t u = 0;
    int r = take_number(m, bytes, &u);

    if (r < 0)
        return r;
    return push_new(m, T3DI_P_INT, bytes == 4 ? (int64_t)(int32_t)u : (int64_t)u);
}

/* The value on top of the stack, of that kind; NULL with the error set. */
static struct t3di_pickled *pop(struct machine *m, enum t3di_pickle_kind kind)
{
    struct t3di_pickled *v = m->n ? m->stack[m->n - 1] : NULL;

    if (!v || v->kind != kind) {
        bad(m, "has a pickle with an unexpected value on its stack");
        return NULL;
    }
    m->n--;
    return v;
}

static int find_mark(struct machine *m, size_t *at)
{
    for (size_t i = m->n; i > 0; i--)
        if (!m->stack[i - 1]) {
            *at = i - 1;
            return T3D_OK;
        }
    return bad(m, "has a pickle without the mark that an opcode needs");
}

/* The values from `from` up, as the items of a tuple in place of them. */
static int make_tuple(struct machine *m, size_t from, size_t keep)
{
    struct t3di_pickled *v = new_value(m, T3DI_P_TUPLE);

    if (!v)
        return no_memory(m);
    for (size_t i = from; i < m->n; i++) {
        if (!m->stack[i])
            return bad(m, "has a pickle with a mark inside a tuple");
        if (t3di_pickle_append(&m->r->scratch, v, m->stack[i]) < 0)
            return no_memory(m);
    }
    m->n = keep;
    return push(m, v);
}

static int tuple_of(struct machine *m, size_t n)
{
    if (m->n < n)
        return bad(m, "has a pickle whose stack is empty");
    return make_tuple(m, m->n - n, m->n - n);
}

static int tuple_from_mark(struct machine *m)
{
    size_t at = 0;
    int r = find_mark(m, &at);

    return r < 0 ? r : make_tuple(m, at + 1, at);
}

/* Append the values from `from` up to the container below `below`. */
static int extend(struct machine *m, size_t from, size_t below, enum t3di_pickle_kind kind)
{
    struct t3di_pickled *to = below ? m->stack[below - 1] : NULL;

    if (!to || to->kind != kind || (kind == T3DI_P_DICT && (m->n - from) % 2))
        return bad(m, "has a pickle that puts items into something else");
    for (size_t i = from; i < m->n; i++) {
        if (!m->stack[i])
            return bad(m, "has a pickle with a mark among items");
        if (t3di_pickle_append(&m->r->scratch, to, m->stack[i]) < 0)
            return no_memory(m);
    }
    m->n = below;
    return T3D_OK;
}

static int extend_last(struct machine *m, size_t n, enum t3di_pickle_kind kind)
{
    if (m->n <= n)
        return bad(m, "has a pickle whose stack is empty");
    return extend(m, m->n - n, m->n - n, kind);
}

static int extend_from_mark(struct machine *m, enum t3di_pickle_kind kind)
{
    size_t at = 0;
    int r = find_mark(m, &at);

    return r < 0 ? r : extend(m, at + 1, at, kind);
}

static int put_memo(struct machine *m, uint64_t i)
{
    if (!m->n || !m->stack[m->n - 1] || i >= MEMO_MAX)
        return bad(m, "has a pickle with a wrong memo");
    while (i >= m->memo_capacity)
        if (grow(&m->r->scratch, &m->memo, m->memo_capacity, &m->memo_capacity) < 0)
            return no_memory(m);
    m->memo[i] = m->stack[m->n - 1];
    m->memo_next = T3D_MAX(m->memo_next, i + 1);
    return T3D_OK;
}

static int push_memo(struct machine *m, uint64_t i)
{
    if (i >= m->memo_capacity || !m->memo[i])
        return bad(m, "has a pickle that asks for something not in its memo");
    return push(m, m->memo[i]);
}

static const struct {
    const char *module, *name;
    enum t3di_pickle_global global;
    enum t3d_tensor_type type;
} allowed[] = {
    {"collections", "OrderedDict", T3DI_P_ORDERED_DICT, 0},
    {"torch._utils", "_rebuild_tensor", T3DI_P_REBUILD_TENSOR, 0},
    {"torch._utils", "_rebuild_tensor_v2", T3DI_P_REBUILD_TENSOR_V2, 0},
    {"torch._utils", "_rebuild_parameter", T3DI_P_REBUILD_PARAMETER, 0},
    {"torch", "BoolStorage", T3DI_P_STORAGE_TYPE, T3D_TENSOR_BOOL},
    {"torch", "ByteStorage", T3DI_P_STORAGE_TYPE, T3D_TENSOR_U8},
    {"torch", "CharStorage", T3DI_P_STORAGE_TYPE, T3D_TENSOR_I8},
    {"torch", "ShortStorage", T3DI_P_STORAGE_TYPE, T3D_TENSOR_I16},
    {"torch", "HalfStorage", T3DI_P_STORAGE_TYPE, T3D_TENSOR_F16},
    {"torch", "BFloat16Storage", T3DI_P_STORAGE_TYPE, T3D_TENSOR_BF16},
    {"torch", "IntStorage", T3DI_P_STORAGE_TYPE, T3D_TENSOR_I32},
    {"torch", "FloatStorage", T3DI_P_STORAGE_TYPE, T3D_TENSOR_F32},
    {"torch", "DoubleStorage", T3DI_P_STORAGE_TYPE, T3D_TENSOR_F64},
    {"torch", "LongStorage", T3DI_P_STORAGE_TYPE, T3D_TENSOR_I64},
};

static int is_text(const char *s, size_t n, const char *t)
{
    return n == strlen(t) && memcmp(s, t, n) == 0;
}

static int push_global(struct machine *m, const char *module, size_t n_module, const char *name,
                       size_t n_name)
{
    struct t3di_pickled *v;

    for (size_t i = 0; i < T3D_COUNT(allowed); i++)
        if (is_text(module, n_module, allowed[i].module) &&
            is_text(name, n_name, allowed[i].name)) {
            v = new_value(m, T3DI_P_GLOBAL);
            if (!v)
                return no_memory(m);
            v->global = allowed[i].global;
            v->type = allowed[i].type;
            return push(m, v);
        }
    return t3d_err_set(m->r->err, T3D_SKIP, "unsafe-pickle",
                       "'%s' asks for '%.*s.%.*s', which is not among the globals that tensors "
                       "need; save it as safetensors",
                       m->r->name, (int)T3D_MIN(n_module, 80), module, (int)T3D_MIN(n_name, 80),
                       name);
}

/* A line of the pickle without its newline. */
static const char *take_line(struct machine *m, size_t *n)
{
    const uint8_t *p = m->r->data + m->r->at;
    const uint8_t *end = memchr(p, '\n', m->r->size - m->r->at);

    if (!end)
        return NULL;
    *n = (size_t)(end - p);
    m->r->at += *n + 1;
    return (const char *)p;
}

static int global_lines(struct machine *m)
{
    size_t n_module = 0, n_name = 0;
    const char *module = take_line(m, &n_module), *name = module ? take_line(m, &n_name) : NULL;

    if (!name)
        return bad(m, "is cut off in the name of a global");
    return push_global(m, module, n_module, name, n_name);
}

static int global_stack(struct machine *m)
{
    struct t3di_pickled *name = pop(m, T3DI_P_TEXT), *module = name ? pop(m, T3DI_P_TEXT) : NULL;

    return module ? push_global(m, module->text, module->size, name->text, name->size) : T3D_SKIP;
}

static int is_whole(const struct t3di_pickled *v)
{
    return v->kind == T3DI_P_INT && v->number >= 0;
}

/* One storage object a key, so that a tensor's data can be found when they come later. */
static int find_storage(struct machine *m, struct t3di_pickled *v, struct t3di_pickled **out)
{
    struct t3di_pickle_reader *r = m->r;

    for (size_t i = 0; i < r->n_storages; i++) {
        *out = r->storage[i];
        if ((*out)->size == v->size && memcmp((*out)->text, v->text, v->size) == 0) {
            if ((*out)->type != v->type || (*out)->elements != v->elements)
                return bad(m, "gives one storage two types or sizes");
            return T3D_OK;
        }
    }
    if (r->n_storages == STORAGES_MAX) /* they are looked up one by one */
        return bad(m, "has more than 32768 storages");
    if (grow(&r->scratch, &r->storage, r->n_storages, &r->storage_capacity) < 0)
        return no_memory(m);
    r->storage[r->n_storages++] = *out = v;
    return T3D_OK;
}

/* torch/serialization.py persistent_id: ("storage", type, key, location, elements), and in legacy
 * files a sixth: None or (view key, first element, elements). */
static int persistent_id(struct machine *m)
{
    struct t3di_pickled *id = pop(m, T3DI_P_TUPLE), *v, **item, *root = NULL;
    int r;

    if (!id)
        return T3D_SKIP;
    item = id->item;
    if (id->size < 5 || id->size > 6 || !t3di_pickle_is(item[0], "storage") ||
        item[1]->kind != T3DI_P_GLOBAL || item[1]->global != T3DI_P_STORAGE_TYPE ||
        item[2]->kind != T3DI_P_TEXT || !is_whole(item[4]))
        return bad(m, "has a persistent id that is no torch storage");
    v = new_value(m, T3DI_P_STORAGE);
    if (!v)
        return no_memory(m);
    v->type = item[1]->type;
    v->text = item[2]->text;
    v->size = item[2]->size;
    v->elements = (uint64_t)item[4]->number;
    r = find_storage(m, v, &root);
    if (r < 0 || id->size == 5 || item[5]->kind == T3DI_P_NONE)
        return r < 0 ? r : push(m, root);
    id = item[5];
    if (id->kind != T3DI_P_TUPLE || id->size != 3 || !is_whole(id->item[1]) ||
        !is_whole(id->item[2]) || id->item[1]->number > item[4]->number ||
        id->item[2]->number > item[4]->number - id->item[1]->number)
        return bad(m, "has a view of a storage that is not inside it");
    v = new_value(m, T3DI_P_STORAGE);
    if (!v)
        return no_memory(m);
    v->storage = root;
    v->type = root->type;
    v->first = (uint64_t)id->item[1]->number;
    v->elements = (uint64_t)id->item[2]->number;
    return push(m, v);
}

/* The last element that the strides reach lies inside the storage. */
static int check_reach(const struct t3di_pickled *v)
{
    const struct t3d_tensor *t = &v->tensor;
    uint64_t last = v->offset, span;

    if (t->count == 0)
        return v->offset <= v->storage->elements ? 0 : -1;
    for (int i = 0; i < t->n_axes; i++)
        if (__builtin_mul_overflow(t->shape[i] - 1, t->stride[i], &span) ||
            __builtin_add_overflow(last, span, &last))
            return -1;
    return last < v->storage->elements ? 0 : -1;
}

/* (storage, offset, shape, stride, ...) of torch/_utils.py _rebuild_tensor and _rebuild_tensor_v2.
 */
static int make_tensor(struct machine *m, const struct t3di_pickled *args)
{
    struct t3di_pickled *v = new_value(m, T3DI_P_TENSOR), **item = args->item;
    uint64_t bytes;

    if (!v)
        return no_memory(m);
    if (args->size < 4 || item[0]->kind != T3DI_P_STORAGE || !is_whole(item[1]) ||
        item[2]->kind != T3DI_P_TUPLE || item[3]->kind != T3DI_P_TUPLE ||
        item[2]->size != item[3]->size || item[2]->size > T3D_TENSOR_MAX_AXES)
        return bad(m, "has a tensor that is not (storage, offset, shape, stride)");
    v->storage = item[0];
    v->offset = (uint64_t)item[1]->number;
    v->tensor.type = item[0]->type;
    v->tensor.n_axes = (int)item[2]->size;
    for (int i = 0; i < v->tensor.n_axes; i++) {
        if (!is_whole(item[2]->item[i]) || !is_whole(item[3]->item[i]))
            return bad(m, "has a tensor with a negative size or stride");
        v->tensor.shape[i] = (uint64_t)item[2]->item[i]->number;
    }
    if (t3d_tensor_layout(&v->tensor, &bytes) < 0)
        return bad(m, "has a tensor whose size overflows");
    for (int i = 0; i < v->tensor.n_axes; i++)
        v->tensor.stride[i] = (uint64_t)item[3]->item[i]->number;
    if (check_reach(v) < 0)
        return bad(m, "has a tensor that is not inside its storage");
    return push(m, v);
}

/* OrderedDict() or OrderedDict([[key, value], ...]). */
static int make_ordered(struct machine *m, const struct t3di_pickled *args)
{
    struct t3di_pickled *v = new_value(m, T3DI_P_DICT), *list = args->size ? args->item[0] : NULL;

    if (!v)
        return no_memory(m);
    if (args->size > 1 || (list && list->kind != T3DI_P_LIST && list->kind != T3DI_P_TUPLE))
        return bad(m, "has an OrderedDict of something else than pairs");
    for (size_t i = 0; list && i < list->size; i++) {
        const struct t3di_pickled *pair = list->item[i];

        if ((pair->kind != T3DI_P_LIST && pair->kind != T3DI_P_TUPLE) || pair->size != 2)
            return bad(m, "has an OrderedDict of something else than pairs");
        if (t3di_pickle_append(&m->r->scratch, v, pair->item[0]) < 0 ||
            t3di_pickle_append(&m->r->scratch, v, pair->item[1]) < 0)
            return no_memory(m);
    }
    return push(m, v);
}

static int reduce(struct machine *m)
{
    struct t3di_pickled *args = pop(m, T3DI_P_TUPLE), *f = args ? pop(m, T3DI_P_GLOBAL) : NULL;

    if (!f)
        return T3D_SKIP;
    switch (f->global) {
    case T3DI_P_ORDERED_DICT:
        return make_ordered(m, args);
    case T3DI_P_REBUILD_TENSOR:
    case T3DI_P_REBUILD_TENSOR_V2:
        return make_tensor(m, args);
    case T3DI_P_REBUILD_PARAMETER: /* (tensor, requires_grad, hooks) */
        if (args->size < 1 || args->item[0]->kind != T3DI_P_TENSOR)
            return bad(m, "has a parameter without a tensor");
        return push(m, args->item[0]);
    default:
        return bad(m, "calls a storage type");
    }
}

/* Attributes of a dict: torch keeps its module versions there. They are dropped. */
static int build(struct machine *m)
{
    if (m->n < 2 || !m->stack[m->n - 1] || !m->stack[m->n - 2] ||
        m->stack[m->n - 2]->kind != T3DI_P_DICT)
        return bad(m, "sets the state of something else than a dict");
    m->n--;
    return T3D_OK;
}

static int pop_one(struct machine *m)
{
    if (!m->n)
        return bad(m, "has a pickle whose stack is empty");
    m->n--;
    return T3D_OK;
}

static int skip_bytes(struct machine *m, int n)
{
    return take(m, (uint64_t)n) ? T3D_OK : bad(m, "is cut off in a pickle");
}

static int memo_op(struct machine *m, int bytes, int (*f)(struct machine *, uint64_t))
{
    uint64_t i = 0;
    int r = take_number(m, bytes, &i);

    return r < 0 ? r : f(m, i);
}

static int step_scalar(struct machine *m, uint8_t op)
{
    switch (op) {
    case 'N':
        return push_new(m, T3DI_P_NONE, 0);
    case 0x88: /* NEWTRUE */
        return push_new(m, T3DI_P_BOOL, 1);
    case 0x89: /* NEWFALSE */
        return push_new(m, T3DI_P_BOOL, 0);
    case 'J': /* BININT */
        return push_integer(m, 4);
    case 'K': /* BININT1 */
        return push_integer(m, 1);
    case 'M': /* BININT2 */
        return push_integer(m, 2);
    case 0x8a: /* LONG1 */
        return push_long(m);
    case 'G': /* BINFLOAT: never part of a tensor */
        return take(m, 8) ? push_new(m, T3DI_P_FLOAT, 0) : bad(m, "is cut off in a pickle");
    case 'U':  /* SHORT_BINSTRING */
    case 'C':  /* SHORT_BINBYTES */
    case 0x8c: /* SHORT_BINUNICODE */
        return push_text(m, 1);
    case 'T': /* BINSTRING */
    case 'B': /* BINBYTES */
    case 'X': /* BINUNICODE */
        return push_text(m, 4);
    default:
        return t3d_err_set(m->r->err, T3D_SKIP, "unsafe-pickle",
                           "'%s' has the pickle opcode 0x%02x at byte %zu, which torch.save does "
                           "not write for tensors; save it as safetensors",
                           m->r->name, op, m->r->at - 1);
    }
}

static int step(struct machine *m, uint8_t op)
{
    switch (op) {
    case 0x80: /* PROTO */
        return skip_bytes(m, 1);
    case 0x95: /* FRAME */
        return skip_bytes(m, 8);
    case '(': /* MARK */
        return push(m, NULL);
    case '0': /* POP */
        return pop_one(m);
    case '}': /* EMPTY_DICT */
        return push_new(m, T3DI_P_DICT, 0);
    case ']': /* EMPTY_LIST */
        return push_new(m, T3DI_P_LIST, 0);
    case ')': /* EMPTY_TUPLE */
        return push_new(m, T3DI_P_TUPLE, 0);
    case 't': /* TUPLE */
        return tuple_from_mark(m);
    case 0x85: /* TUPLE1 */
    case 0x86:
    case 0x87:
        return tuple_of(m, op - 0x84u);
    case 'a': /* APPEND */
        return extend_last(m, 1, T3DI_P_LIST);
    case 'e': /* APPENDS */
        return extend_from_mark(m, T3DI_P_LIST);
    case 's': /* SETITEM */
        return extend_last(m, 2, T3DI_P_DICT);
    case 'u': /* SETITEMS */
        return extend_from_mark(m, T3DI_P_DICT);
    case 'q': /* BINPUT */
        return memo_op(m, 1, put_memo);
    case 'r': /* LONG_BINPUT */
        return memo_op(m, 4, put_memo);
    case 0x94: /* MEMOIZE */
        return put_memo(m, m->memo_next);
    case 'h': /* BINGET */
        return memo_op(m, 1, push_memo);
    case 'j': /* LONG_BINGET */
        return memo_op(m, 4, push_memo);
    case 'c': /* GLOBAL */
        return global_lines(m);
    case 0x93: /* STACK_GLOBAL */
        return global_stack(m);
    case 'Q': /* BINPERSID */
        return persistent_id(m);
    case 'R': /* REDUCE */
        return reduce(m);
    case 'b': /* BUILD */
        return build(m);
    default:
        return step_scalar(m, op);
    }
}

int t3di_pickle_run(struct t3di_pickle_reader *r, struct t3di_pickled **out)
{
    struct machine m = {.r = r};

    for (;;) {
        const uint8_t *op = take(&m, 1);
        int rc;

        if (!op)
            return bad(&m, "is cut off in a pickle");
        if (*op == '.') /* STOP */
            break;
        rc = step(&m, *op);
        if (rc < 0)
            return rc;
    }
    if (m.n != 1 || !m.stack[0])
        return bad(&m, "has a pickle that does not end with one value");
    *out = m.stack[0];
    return T3D_OK;
}
