/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>

/* The EVP context is used as it is; the name keeps OpenSSL's headers out of ours. */
static EVP_MD_CTX *ctx(struct t3d_sha256 *h)
{
    return (EVP_MD_CTX *)h;
}

int t3d_sha256_new(struct t3d_sha256 **out, struct t3d_err *err)
{
    EVP_MD_CTX *c = EVP_MD_CTX_new();

    if (!c)
        return t3d_err_nomem(err, "a SHA-256 state");
    if (!EVP_DigestInit_ex(c, EVP_sha256(), NULL)) {
        EVP_MD_CTX_free(c);
        return t3d_err_set(err, T3D_FAIL, "sha256", "libcrypto refuses SHA-256");
    }
    *out = (struct t3d_sha256 *)c;
    return T3D_OK;
}

void t3d_sha256_add(struct t3d_sha256 *h, const void *data, size_t n)
{
    EVP_DigestUpdate(ctx(h), data, n);
}

void t3d_sha256_add_str(struct t3d_sha256 *h, const char *s)
{
    EVP_DigestUpdate(ctx(h), s, strlen(s) + 1);
}

void t3d_sha256_end(struct t3d_sha256 *h, char hex[T3D_SHA256_HEX])
{
    unsigned char md[T3D_SHA256_BYTES];

    EVP_DigestFinal_ex(ctx(h), md, NULL);
    t3d_hex(md, sizeof md, hex);
    EVP_MD_CTX_free(ctx(h));
}

void t3d_sha256_free(struct t3d_sha256 *h)
{
    EVP_MD_CTX_free(ctx(h));
}

void t3d_sha256_hex(const void *data, size_t n, char hex[T3D_SHA256_HEX])
{
    unsigned char md[T3D_SHA256_BYTES];

    SHA256(data, n, md);
    t3d_hex(md, sizeof md, hex);
}

void t3d_uuid5_url(const char *url, char uuid[37])
{
    static const unsigned char dns[16] = {0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1,
                                          0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8};
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    unsigned char md[EVP_MAX_MD_SIZE];
    char hex[33];

    uuid[0] = 0;
    if (!c || !EVP_DigestInit_ex(c, EVP_sha1(), NULL) || !EVP_DigestUpdate(c, dns, sizeof dns) ||
        !EVP_DigestUpdate(c, url, strlen(url)) || !EVP_DigestFinal_ex(c, md, NULL)) {
        EVP_MD_CTX_free(c);
        return;
    }
    EVP_MD_CTX_free(c);
    md[6] = (unsigned char)((md[6] & 0x0f) | 0x50);
    md[8] = (unsigned char)((md[8] & 0x3f) | 0x80);
    t3d_hex(md, 16, hex);
    snprintf(uuid, 37, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16, hex + 20);
}

uint64_t t3d_hash64(const char *s)
{
    unsigned char md[T3D_SHA256_BYTES];
    uint64_t v = 0;

    SHA256((const unsigned char *)s, strlen(s), md);
    for (int i = 0; i < 8; i++)
        v = v << 8 | md[i];
    return v;
}

void t3d_hex(const void *data, size_t n, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = data;

    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[p[i] >> 4];
        out[2 * i + 1] = digits[p[i] & 15];
    }
    out[2 * n] = 0;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int t3d_unhex(const char *s, size_t n, void *out)
{
    unsigned char *p = out;

    if (strlen(s) != 2 * n)
        return -1;
    for (size_t i = 0; i < n; i++) {
        int hi = digit(s[2 * i]), lo = digit(s[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return -1;
        p[i] = (unsigned char)(hi << 4 | lo);
    }
    return 0;
}

void t3d_base64(const void *data, size_t n, char *out)
{
    EVP_EncodeBlock((unsigned char *)out, data, (int)n);
}
