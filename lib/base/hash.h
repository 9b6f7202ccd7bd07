/* SPDX-License-Identifier: Apache-2.0 */
/* base/hash.h -- SHA-256 (FIPS 180-4, by libcrypto), hexadecimal and base64.
 *
 *     struct t3d_sha256 *h;
 *     if (t3d_sha256_new(&h, err) < 0) ...
 *     t3d_sha256_add(h, bytes, n);
 *     t3d_sha256_end(h, hex);      writes 64 hex digits and a NUL, frees h
 */
#ifndef T3D_BASE_HASH_H
#define T3D_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum { T3D_SHA256_BYTES = 32, T3D_SHA256_HEX = 65 };

struct t3d_sha256;

int t3d_sha256_new(struct t3d_sha256 **out, struct t3d_err *err) T3D_MUST_CHECK;
void t3d_sha256_add(struct t3d_sha256 *h, const void *data, size_t n);
/* Adds the string and its NUL, so that ("ab","c") and ("a","bc") differ. */
void t3d_sha256_add_str(struct t3d_sha256 *h, const char *s);
void t3d_sha256_end(struct t3d_sha256 *h, char hex[T3D_SHA256_HEX]);
void t3d_sha256_free(struct t3d_sha256 *h);

/* One call for data in memory. */
void t3d_sha256_hex(const void *data, size_t n, char hex[T3D_SHA256_HEX]);

/* First 8 bytes of SHA-256(s), big-endian: the stable number behind `--shard i/N` and splits. */
uint64_t t3d_hash64(const char *s);

/* The name-based UUID of an address (RFC 9562, section 5.5: version 5, namespace DNS, as
 * Objaverse-XL has it): 36 characters and a NUL. */
void t3d_uuid5_url(const char *url, char uuid[37]);

/* Lower-case hex of n bytes into out (2n + 1 bytes); and back: 0, or -1 if s is not 2n hex digits.
 */
void t3d_hex(const void *data, size_t n, char *out);
int t3d_unhex(const char *s, size_t n, void *out) T3D_MUST_CHECK;
/* Base64 (RFC 4648, section 4) of n bytes, at most 2^30, into out: 4 ceil(n / 3) + 1 bytes. */
void t3d_base64(const void *data, size_t n, char *out);

#endif
