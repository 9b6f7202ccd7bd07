/* SPDX-License-Identifier: Apache-2.0 */
#include "image/version.h"

#include <pthread.h>
#include <stdio.h>

#include <jpeglib.h>
#include <libdeflate.h>
#include <png.h>
#include <webp/decode.h>

static char text[160];

static void make_text(void)
{
    int jpeg = LIBJPEG_TURBO_VERSION_NUMBER, webp = WebPGetDecoderVersion();

    snprintf(text, sizeof text,
             "libpng %s, libjpeg-turbo %d.%d.%d, libwebp %d.%d.%d, libdeflate %s",
             png_get_libpng_ver(NULL), jpeg / 1000000, jpeg / 1000 % 1000, jpeg % 1000, webp >> 16,
             webp >> 8 & 0xff, webp & 0xff, LIBDEFLATE_VERSION_STRING);
}

const char *t3d_image_libraries(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, make_text);
    return text;
}
