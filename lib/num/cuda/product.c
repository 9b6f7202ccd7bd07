/* SPDX-License-Identifier: Apache-2.0 */
#include "num/cuda/product.h"

#include <cublasLt.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "num/cuda/context.h"

/* --- the library --------------------------------------------------------------------------------
 */

/* It is half a gigabyte and may be missing where a binary runs, so it is loaded when first used. */
#define FUNCTIONS(X)                                                                               \
    X(Create)                                                                                      \
    X(GetVersion)                                                                                  \
    X(MatmulDescCreate)                                                                            \
    X(MatmulDescDestroy)                                                                           \
    X(MatmulDescSetAttribute)                                                                      \
    X(MatrixLayoutCreate)                                                                          \
    X(MatrixLayoutDestroy)                                                                         \
    X(MatrixLayoutSetAttribute)                                                                    \
    X(MatmulPreferenceCreate)                                                                      \
    X(MatmulPreferenceDestroy)                                                                     \
    X(MatmulPreferenceSetAttribute)                                                                \
    X(MatmulAlgoGetHeuristic)                                                                      \
    X(Matmul)

#define MEMBER(name) __typeof__(cublasLt##name) *name;
static struct {
    FUNCTIONS(MEMBER)
    int usable;
} lt;

static void *find(void *library, const char *name)
{
    return dlsym(library ? library : RTLD_DEFAULT, name);
}

#define LOAD(name) ok &= (*(void **)&lt.name = find(library, "cublasLt" #name)) != NULL;
static int load_from(void *library)
{
    int ok = 1;

    FUNCTIONS(LOAD)
    return ok;
}

#define QUOTE(x)  #x
#define NUMBER(x) QUOTE(x)

/* Linked in already, by the loader's paths, or where NVIDIA's packages put it. */
static void load(void)
{
    static const char *const place[] = {
        "libcublasLt.so." NUMBER(CUBLAS_VER_MAJOR),
        "/usr/local/cuda/lib64/libcublasLt.so." NUMBER(CUBLAS_VER_MAJOR)};
    void *library;

    if (getenv("T3D_BLAS") && strcmp(getenv("T3D_BLAS"), "plain") == 0)
        return;
    lt.usable = load_from(NULL);
    for (size_t i = 0; i < sizeof place / sizeof *place && !lt.usable; i++) {
        library = dlopen(place[i], RTLD_NOW | RTLD_LOCAL);
        lt.usable = library && load_from(library);
    }
}

static int usable(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, load);
    return lt.usable;
}

size_t t3di_cuda_lt_version(void)
{
    return usable() ? lt.GetVersion() : 0;
}

void *t3di_cuda_lt_new(void)
{
    cublasLtHandle_t handle = NULL;

    return usable() && lt.Create(&handle) == CUBLAS_STATUS_SUCCESS ? handle : NULL;
}

/* --- plans -------------------------------------------------------------------------------------
 */

/* cuBLASLt counts columns first, so it computes C^T (n, m) = B^T A^T: its first operand is our B.
 */
struct t3di_cuda_product {
    struct t3di_cuda_product_desc d;
    cublasLtMatmulDesc_t op; /* NULL = our own loops */
    cublasLtMatrixLayout_t first, second, result;
    cublasLtMatmulAlgo_t algo;
    size_t workspace;
};

/* Settings in a row: after the first that fails nothing more is done. */
struct chain {
    cublasStatus_t status;
};

#define STEP(chain, call)                                                                          \
    do {                                                                                           \
        if ((chain)->status == CUBLAS_STATUS_SUCCESS)                                              \
            (chain)->status = (call);                                                              \
    } while (0)

static void set_op(struct chain *c, cublasLtMatmulDesc_t op, cublasLtMatmulDescAttributes_t which,
                   const void *value, size_t size)
{
    STEP(c, lt.MatmulDescSetAttribute(op, which, value, size));
}

static cudaDataType_t type_of(int bf16)
{
    return bf16 ? CUDA_R_16BF : CUDA_R_32F;
}

/* An operand as cuBLASLt stores it: rows run along memory. */
struct operand {
    int ok;
    cublasOperation_t op;
    int64_t rows, columns, leading, next;
    int bf16;
};

/* op(X) must be (p, q), where element (i, j) lies at i p_step + j q_step. */
static struct operand operand(int64_t p, int64_t q, int64_t p_step, int64_t q_step, int64_t next,
                              int bf16)
{
    if (p_step == 1 && q_step >= p)
        return (struct operand){1, CUBLAS_OP_N, p, q, q_step, next, bf16};
    if (q_step == 1 && p_step >= q)
        return (struct operand){1, CUBLAS_OP_T, q, p, p_step, next, bf16};
    return (struct operand){0};
}

static void layout(struct chain *c, cublasLtMatrixLayout_t *l, const struct operand *x,
                   int64_t batch)
{
    int32_t count = (int32_t)batch;

    STEP(c, lt.MatrixLayoutCreate(l, type_of(x->bf16), (uint64_t)x->rows, (uint64_t)x->columns,
                                  x->leading));
    if (batch == 1)
        return;
    STEP(c,
         lt.MatrixLayoutSetAttribute(*l, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count));
    STEP(c, lt.MatrixLayoutSetAttribute(*l, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &x->next,
                                        sizeof x->next));
}

/* What every row and matrix of it starts at; values start at 16 bytes at least. */
static uint32_t alignment(const struct operand *x, int64_t batch)
{
    int64_t bytes = (x->leading | (batch > 1 ? x->next : 0)) * (x->bf16 ? 2 : 4);

    return bytes % 16 == 0 ? 16 : bytes % 8 == 0 ? 8 : bytes % 4 == 0 ? 4 : 2;
}

static void describe(struct chain *c, struct t3di_cuda_product *p, const struct operand *first,
                     const struct operand *second)
{
    static const cublasLtEpilogue_t with_bias[] = {
        CUBLASLT_EPILOGUE_DEFAULT, CUBLASLT_EPILOGUE_BIAS, CUBLASLT_EPILOGUE_RELU_BIAS,
        CUBLASLT_EPILOGUE_GELU_BIAS};
    static const cublasLtEpilogue_t bare[] = {CUBLASLT_EPILOGUE_DEFAULT, CUBLASLT_EPILOGUE_DEFAULT,
                                              CUBLASLT_EPILOGUE_RELU, CUBLASLT_EPILOGUE_GELU};
    cublasLtEpilogue_t epilogue = (p->d.bias ? with_bias : bare)[p->d.epilogue];

    STEP(c, lt.MatmulDescCreate(&p->op, CUBLAS_COMPUTE_32F, CUDA_R_32F));
    set_op(c, p->op, CUBLASLT_MATMUL_DESC_TRANSA, &first->op, sizeof first->op);
    set_op(c, p->op, CUBLASLT_MATMUL_DESC_TRANSB, &second->op, sizeof second->op);
    set_op(c, p->op, CUBLASLT_MATMUL_DESC_EPILOGUE, &epilogue, sizeof epilogue);
}

/* The bias is part of the description, which is read when a product is put on the stream. */
static void point(struct chain *c, const struct t3di_cuda_product *p, void *bias)
{
    if (p->d.bias)
        set_op(c, p->op, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias, sizeof bias);
}

/* Partial sums stay float, whatever C is: no split of k that adds in C's own type. */
static void choose(struct chain *c, struct t3di_cuda_product *p, const struct t3di_cuda *here,
                   const uint32_t align[3])
{
    uint32_t schemes = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
    cublasLtMatmulPreference_t want = NULL;
    cublasLtMatmulHeuristicResult_t found = {0};
    int n = 0;

    STEP(c, lt.MatmulPreferenceCreate(&want));
    if (!want)
        return;
#define WANT(which, value)                                                                         \
    STEP(c, lt.MatmulPreferenceSetAttribute(want, CUBLASLT_MATMUL_PREF_##which, &(value),          \
                                            sizeof(value)))
    WANT(MAX_WORKSPACE_BYTES, here->workspace_bytes);
    WANT(REDUCTION_SCHEME_MASK, schemes);
    WANT(MIN_ALIGNMENT_A_BYTES, align[0]);
    WANT(MIN_ALIGNMENT_B_BYTES, align[1]);
    WANT(MIN_ALIGNMENT_C_BYTES, align[2]);
    WANT(MIN_ALIGNMENT_D_BYTES, align[2]);
    STEP(c, lt.MatmulAlgoGetHeuristic(here->lt, p->op, p->first, p->second, p->result, p->result,
                                      want, 1, &found, &n));
    lt.MatmulPreferenceDestroy(want);
    if (c->status != CUBLAS_STATUS_SUCCESS)
        return;
    c->status = n == 1 ? found.state : CUBLAS_STATUS_NOT_SUPPORTED;
    p->algo = found.algo;
    p->workspace = found.workspaceSize;
}

static void undo(struct t3di_cuda_product *p)
{
    if (p->result)
        lt.MatrixLayoutDestroy(p->result);
    if (p->second)
        lt.MatrixLayoutDestroy(p->second);
    if (p->first)
        lt.MatrixLayoutDestroy(p->first);
    if (p->op)
        lt.MatmulDescDestroy(p->op);
    p->op = NULL;
    p->first = p->second = p->result = NULL;
}

/* cuBLASLt's plan; without one op stays NULL. */
static void plan(struct t3di_cuda_product *p, const struct t3di_cuda *here)
{
    const struct t3di_cuda_matrices *g = &p->d.of;
    struct operand first = operand(g->n, g->k, g->b_col, g->b_row, g->b_next, p->d.b_bf16);
    struct operand second = operand(g->k, g->m, g->a_col, g->a_row, g->a_next, p->d.a_bf16);
    struct operand result = {1, CUBLAS_OP_N, g->n, g->m, g->c_row, g->c_next, p->d.c_bf16};
    uint32_t align[3] = {alignment(&first, g->batch), alignment(&second, g->batch),
                         alignment(&result, g->batch)};
    struct chain c = {CUBLAS_STATUS_SUCCESS};

    if (!here->lt || !first.ok || !second.ok || p->d.a_bf16 != p->d.b_bf16 ||
        (p->d.c_bf16 && !p->d.a_bf16) || g->batch > INT32_MAX || g->c_row < g->n)
        return;
    if (p->d.bias && p->d.bias_bf16 != p->d.c_bf16)
        return;
    describe(&c, p, &first, &second);
    layout(&c, &p->first, &first, g->batch);
    layout(&c, &p->second, &second, g->batch);
    layout(&c, &p->result, &result, g->batch);
    if (c.status == CUBLAS_STATUS_SUCCESS)
        point(&c, p, here->workspace); /* the choice wants to see one */
    choose(&c, p, here, align);
    if (c.status != CUBLAS_STATUS_SUCCESS)
        undo(p);
}

int t3di_cuda_product_new(struct t3di_cuda_product **out, const struct t3di_cuda_product_desc *d,
                          struct t3d_err *err)
{
    struct t3di_cuda_product *p = calloc(1, sizeof *p);

    *out = p;
    if (!p)
        return t3d_err_nomem(err, "a matrix product");
    p->d = *d;
    plan(p, t3di_cuda_here());
    return T3D_OK;
}

void t3di_cuda_product_free(struct t3di_cuda_product *p)
{
    if (p)
        undo(p);
    free(p);
}

int t3di_cuda_product_fuses(const struct t3di_cuda_product *p)
{
    return p->op != NULL;
}

static void run_plain(const struct t3di_cuda_product *p, struct t3di_dev c, struct t3di_dev a,
                      struct t3di_dev b, struct t3di_dev from, void *stream)
{
    struct t3di_cuda_matrices g = p->d.of;

    if (p->d.onto && from.p != c.p)
        t3di_cuda_copy(c, from, g.m * g.n * g.batch, stream);
    g.add |= p->d.onto;
    t3di_cuda_gemm(&g, c, a, b, stream);
}

int t3di_cuda_product_run(const struct t3di_cuda_product *p, struct t3di_dev c, struct t3di_dev a,
                          struct t3di_dev b, struct t3di_dev from, struct t3di_dev bias,
                          struct t3d_err *err)
{
    const struct t3di_cuda *here = t3di_cuda_here();
    struct chain chain = {CUBLAS_STATUS_SUCCESS};
    float beta = p->d.of.add || p->d.onto ? 1 : 0;

    if (!p->op) {
        run_plain(p, c, a, b, from, here->stream);
        return T3D_OK;
    }
    point(&chain, p, bias.p);
    STEP(&chain, lt.Matmul(here->lt, p->op, &p->d.of.alpha, b.p, p->first, a.p, p->second, &beta,
                           p->d.onto ? from.p : c.p, p->result, c.p, p->result, &p->algo,
                           here->workspace, p->workspace, here->stream));
    if (chain.status != CUBLAS_STATUS_SUCCESS)
        return t3d_err_set(err, T3D_FAIL, "cuda-failed",
                           "cuBLASLt: a product of %lld x %lld x %lld failed (status %d)",
                           (long long)p->d.of.m, (long long)p->d.of.n, (long long)p->d.of.k,
                           (int)chain.status);
    return T3D_OK;
}
