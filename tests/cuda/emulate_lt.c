/* SPDX-License-Identifier: Apache-2.0 */
/* As much of cuBLASLt as the back end calls, by the letter of its manual: matrices counted columns
 * first, D = epilogue(alpha op(A) op(B) + beta C + bias), in double. It refuses what the library
 * refuses, as far as the manual says. */
#include <cublasLt.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void emulate_open_memory(int open);

struct matrix {
    cudaDataType_t type;
    uint64_t rows, columns;
    int64_t leading, next;
    int32_t batch;
};

struct product {
    cublasOperation_t a, b;
    cublasLtEpilogue_t epilogue;
    const void *bias;
};

cublasStatus_t cublasLtCreate(cublasLtHandle_t *handle)
{
    *handle = (cublasLtHandle_t)malloc(1);
    return CUBLAS_STATUS_SUCCESS;
}

size_t cublasLtGetVersion(void)
{
    return 1;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *d, cublasComputeType_t compute,
                                        cudaDataType_t scale)
{
    struct product *p = calloc(1, sizeof *p);

    *d = (cublasLtMatmulDesc_t)p;
    if (compute != CUBLAS_COMPUTE_32F || scale != CUDA_R_32F)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    p->a = p->b = CUBLAS_OP_N;
    p->epilogue = CUBLASLT_EPILOGUE_DEFAULT;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t d)
{
    free(d);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t d,
                                              cublasLtMatmulDescAttributes_t which,
                                              const void *value, size_t size)
{
    struct product *p = (struct product *)d;
    void *to = which == CUBLASLT_MATMUL_DESC_TRANSA         ? (void *)&p->a
               : which == CUBLASLT_MATMUL_DESC_TRANSB       ? (void *)&p->b
               : which == CUBLASLT_MATMUL_DESC_EPILOGUE     ? (void *)&p->epilogue
               : which == CUBLASLT_MATMUL_DESC_BIAS_POINTER ? (void *)&p->bias
                                                            : NULL;
    size_t want = which == CUBLASLT_MATMUL_DESC_BIAS_POINTER ? sizeof(void *) : sizeof(int32_t);

    if (!to || size != want)
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(to, value, size);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *l, cudaDataType type,
                                          uint64_t rows, uint64_t columns, int64_t leading)
{
    struct matrix *m = calloc(1, sizeof *m);

    *m = (struct matrix){type, rows, columns, leading, 0, 1};
    *l = (cublasLtMatrixLayout_t)m;
    return leading < (int64_t)rows ? CUBLAS_STATUS_INVALID_VALUE : CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t l)
{
    free(l);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t l,
                                                cublasLtMatrixLayoutAttribute_t which,
                                                const void *value, size_t size)
{
    struct matrix *m = (struct matrix *)l;

    if (which == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT && size == sizeof m->batch)
        memcpy(&m->batch, value, size);
    else if (which == CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET && size == sizeof m->next)
        memcpy(&m->next, value, size);
    else
        return CUBLAS_STATUS_INVALID_VALUE;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *p)
{
    *p = (cublasLtMatmulPreference_t)malloc(1);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t p)
{
    free(p);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t p,
                                                    cublasLtMatmulPreferenceAttributes_t which,
                                                    const void *value, size_t size)
{
    size_t want = which == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES ? sizeof(uint64_t) : 4;

    (void)p, (void)value;
    return size == want ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

/* Do the four matrices and their types belong together? */
static int fits(const struct product *p, const struct matrix *a, const struct matrix *b,
                const struct matrix *c, const struct matrix *d)
{
    uint64_t m = p->a == CUBLAS_OP_N ? a->rows : a->columns;
    uint64_t k = p->a == CUBLAS_OP_N ? a->columns : a->rows;
    uint64_t n = p->b == CUBLAS_OP_N ? b->columns : b->rows;
    uint64_t k2 = p->b == CUBLAS_OP_N ? b->rows : b->columns;

    return m == d->rows && n == d->columns && k == k2 && c->rows == m && c->columns == n &&
           a->batch == b->batch && a->batch == d->batch && c->batch == d->batch &&
           a->type == b->type && c->type == d->type &&
           (d->type == a->type || (a->type == CUDA_R_16BF && d->type == CUDA_R_32F));
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t op,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t want, int n,
                                              cublasLtMatmulHeuristicResult_t result[], int *found)
{
    (void)handle, (void)want;
    *found = 0;
    /* Some inner sizes are refused, so that our own loops run, too. */
    if (((struct matrix *)a)->rows % 8 == 5 || ((struct matrix *)a)->columns % 8 == 5)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (n < 1 || !fits((struct product *)op, (struct matrix *)a, (struct matrix *)b,
                       (struct matrix *)c, (struct matrix *)d))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    memset(result, 0, sizeof *result);
    *found = 1;
    return CUBLAS_STATUS_SUCCESS;
}

static double load(const void *p, cudaDataType_t type, int64_t i)
{
    uint32_t bits;
    float x;

    if (type == CUDA_R_32F)
        return (double)((const float *)p)[i];
    bits = (uint32_t)((const uint16_t *)p)[i] << 16;
    memcpy(&x, &bits, sizeof x);
    return (double)x;
}

static void store(void *p, cudaDataType_t type, int64_t i, double v)
{
    float x = (float)v;
    uint32_t bits;

    if (type == CUDA_R_32F) {
        ((float *)p)[i] = x;
        return;
    }
    memcpy(&bits, &x, sizeof bits);
    ((uint16_t *)p)[i] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static double finish(const struct product *p, const struct matrix *d, int64_t row, double v)
{
    int biased = p->epilogue == CUBLASLT_EPILOGUE_BIAS ||
                 p->epilogue == CUBLASLT_EPILOGUE_RELU_BIAS ||
                 p->epilogue == CUBLASLT_EPILOGUE_GELU_BIAS;

    if (biased)
        v += load(p->bias, d->type, row);
    if (p->epilogue == CUBLASLT_EPILOGUE_RELU || p->epilogue == CUBLASLT_EPILOGUE_RELU_BIAS)
        return v > 0 ? v : 0;
    if (p->epilogue == CUBLASLT_EPILOGUE_GELU || p->epilogue == CUBLASLT_EPILOGUE_GELU_BIAS)
        return v / 2 * (1 + tanh(0.79788456080286536 * (v + 0.044715 * v * v * v)));
    return v;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t op, const void *alpha,
                              const void *a, cublasLtMatrixLayout_t al, const void *b,
                              cublasLtMatrixLayout_t bl, const void *beta, const void *c,
                              cublasLtMatrixLayout_t cl, void *d, cublasLtMatrixLayout_t dl,
                              const cublasLtMatmulAlgo_t *algo, void *work, size_t bytes,
                              cudaStream_t stream)
{
    const struct product *p = (const struct product *)op;
    const struct matrix *ma = (struct matrix *)al, *mb = (struct matrix *)bl;
    const struct matrix *mc = (struct matrix *)cl, *md = (struct matrix *)dl;
    int64_t k = (int64_t)(p->a == CUBLAS_OP_N ? ma->columns : ma->rows);
    double scale = (double)*(const float *)alpha, keep = (double)*(const float *)beta;

    (void)handle, (void)algo, (void)work, (void)bytes, (void)stream;
    if (!fits(p, ma, mb, mc, md))
        return CUBLAS_STATUS_INVALID_VALUE;
    emulate_open_memory(1);
    for (int32_t z = 0; z < md->batch; z++)
        for (int64_t j = 0; j < (int64_t)md->columns; j++)
            for (int64_t i = 0; i < (int64_t)md->rows; i++) {
                int64_t at = z * md->next + j * md->leading + i;
                double sum = 0;

                for (int64_t t = 0; t < k; t++)
                    sum += load(a, ma->type,
                                z * ma->next + (p->a == CUBLAS_OP_N ? t * ma->leading + i
                                                                    : i * ma->leading + t)) *
                           load(b, mb->type,
                                z * mb->next + (p->b == CUBLAS_OP_N ? j * mb->leading + t
                                                                    : t * mb->leading + j));
                sum *= scale;
                if (keep != 0)
                    sum += keep * load(c, mc->type, z * mc->next + j * mc->leading + i);
                store(d, md->type, at, finish(p, md, i, sum));
            }
    emulate_open_memory(0);
    return CUBLAS_STATUS_SUCCESS;
}
