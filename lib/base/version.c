/* SPDX-License-Identifier: Apache-2.0 */
#include "base/version.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <cjson/cJSON.h>
#include <openssl/crypto.h>

static char text[128];

static void make_text(void)
{
    snprintf(text, sizeof text, "cJSON %s, OpenSSL %s", cJSON_Version(),
             OpenSSL_version(OPENSSL_VERSION_STRING));
}

const char *t3d_base_libraries(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_text);
    return text;
}

#define QUOTE(x)  #x
#define NUMBER(x) QUOTE(x)

const char *t3d_compiler(void)
{
#if defined(__clang__)
    return "clang " NUMBER(__clang_major__) "." NUMBER(__clang_minor__) "." NUMBER(
        __clang_patchlevel__);
#else
    return "gcc " NUMBER(__GNUC__) "." NUMBER(__GNUC_MINOR__) "." NUMBER(__GNUC_PATCHLEVEL__);
#endif
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#endif

const char *t3d_build_class(void)
{
#if defined(SANITIZED)
    return "sanitize";
#elif defined(__OPTIMIZE__)
    return "release";
#else
    return "debug";
#endif
}
