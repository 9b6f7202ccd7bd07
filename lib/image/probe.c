/* SPDX-License-Identifier: Apache-2.0 */
/* Headers only: PNG (ISO/IEC 15948, 11.2.2), JPEG (ITU-T T.81, B.2.2), WebP (RFC 9649; VP8 frame
 * header: RFC 6386, 9.1). */
#include "image/image.h"

#include <string.h>

#include "image/image_impl.h"

const uint8_t t3di_png_signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};

static int bad(struct t3d_err *err, const char *what)
{
    return t3d_err_set(err, T3D_SKIP, "bad-image", "%s", what);
}

/* Walk the chunks in front of the pixels for transparency. */
static int png_has_trns(const uint8_t *data, size_t size)
{
    size_t pos = 33;

    while (size - pos >= 8) {
        uint32_t length = t3di_be32(data + pos);

        if (memcmp(data + pos + 4, "tRNS", 4) == 0)
            return 1;
        if (memcmp(data + pos + 4, "IDAT", 4) == 0 || length > size - pos - 8 ||
            size - pos - 8 - length < 4)
            return 0;
        pos += 12 + (size_t)length;
    }
    return 0;
}

static int probe_png(struct t3d_image_info *info, const uint8_t *data, size_t size,
                     struct t3d_err *err)
{
    static const uint8_t channels[7] = {1, 0, 3, 3, 2, 0, 4};
    /* Bit d: depth d is allowed for the colour type (PNG table 11.1). */
    static const uint32_t depths[7] = {0x10116, 0, 0x10100, 0x116, 0x10100, 0, 0x10100};
    uint8_t depth, type;

    if (size < 33 || t3di_be32(data + 8) != 13 || memcmp(data + 12, "IHDR", 4) != 0)
        return bad(err, "PNG does not begin with a whole IHDR chunk");
    depth = data[24];
    type = data[25];
    if (type > 6 || depth > 16 || !(depths[type] >> depth & 1))
        return t3d_err_set(err, T3D_SKIP, "bad-image", "PNG has depth %d with colour type %d",
                           depth, type);
    if (data[26] || data[27] || data[28] > 1)
        return bad(err, "PNG names an unknown compression, filter or interlace method");
    info->format = T3D_IMAGE_PNG;
    info->width = t3di_be32(data + 16);
    info->height = t3di_be32(data + 20);
    info->channels = channels[type];
    info->has_alpha = type >= 4;
    if (!info->has_alpha && png_has_trns(data, size)) {
        info->has_alpha = 1;
        info->channels++;
    }
    return T3D_OK;
}

static int is_sof(uint8_t marker)
{
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
}

/* Walk the segments up to the frame header; APPn with their thumbnails are passed over whole. */
static int probe_jpeg(struct t3d_image_info *info, const uint8_t *data, size_t size,
                      struct t3d_err *err)
{
    size_t pos = 2, length;

    for (;;) {
        uint8_t marker;

        while (pos < size && data[pos] != 0xff) /* bytes between segments: as libjpeg, skip */
            pos++;
        while (pos < size && data[pos] == 0xff) /* fill bytes */
            pos++;
        if (pos >= size)
            return bad(err, "JPEG ends before its frame header");
        marker = data[pos++];
        if (marker == 0 || marker == 0x01 || (marker >= 0xd0 && marker <= 0xd7))
            continue; /* without a length */
        if (marker == 0xd8 || marker == 0xd9 || marker == 0xda)
            return bad(err, "JPEG has no frame header");
        if (size - pos < 2)
            return bad(err, "JPEG ends before its frame header");
        length = (size_t)data[pos] << 8 | data[pos + 1];
        if (length < 2 || length > size - pos)
            return bad(err, "JPEG segment is longer than the file");
        if (is_sof(marker))
            break;
        pos += length;
    }
    if (length < 8)
        return bad(err, "JPEG frame header is too short");
    info->format = T3D_IMAGE_JPEG;
    info->height = (uint32_t)data[pos + 3] << 8 | data[pos + 4];
    info->width = (uint32_t)data[pos + 5] << 8 | data[pos + 6];
    info->channels = data[pos + 7];
    info->has_alpha = 0;
    if (info->channels != 1 && info->channels != 3 && info->channels != 4)
        return t3d_err_set(err, T3D_SKIP, "bad-image",
                           "JPEG has %d colour components, not 1, 3 or 4", info->channels);
    return T3D_OK;
}

static uint32_t le(const uint8_t *p, int n)
{
    uint32_t v = 0;

    for (int i = 0; i < n; i++)
        v |= (uint32_t)p[i] << 8 * i;
    return v;
}

static int probe_webp(struct t3d_image_info *info, const uint8_t *data, size_t size,
                      struct t3d_err *err)
{
    const uint8_t *p = data + 20; /* behind RIFF size WEBP fourcc size */
    uint32_t v;

    if (size < 30)
        return bad(err, "WebP ends before its picture header");
    info->format = T3D_IMAGE_WEBP;
    info->channels = 3;
    if (memcmp(data + 12, "VP8 ", 4) == 0) {
        if (p[0] & 1 || p[3] != 0x9d || p[4] != 0x01 || p[5] != 0x2a)
            return bad(err, "WebP does not begin with a VP8 key frame");
        info->width = le(p + 6, 2) & 0x3fff;
        info->height = le(p + 8, 2) & 0x3fff;
        info->has_alpha = 0;
    } else if (memcmp(data + 12, "VP8L", 4) == 0) {
        v = le(p + 1, 4);
        if (p[0] != 0x2f || v >> 29)
            return bad(err, "WebP has a bad VP8L signature or version");
        info->width = (v & 0x3fff) + 1;
        info->height = (v >> 14 & 0x3fff) + 1;
        info->has_alpha = (int)(v >> 28 & 1);
    } else if (memcmp(data + 12, "VP8X", 4) == 0) {
        info->width = le(p + 4, 3) + 1;
        info->height = le(p + 7, 3) + 1;
        info->has_alpha = p[0] >> 4 & 1;
    } else {
        return bad(err, "WebP begins with an unknown chunk");
    }
    info->channels += info->has_alpha;
    return T3D_OK;
}

static int probe_format(struct t3d_image_info *info, const uint8_t *data, size_t size,
                        struct t3d_err *err)
{
    if (size >= 8 && memcmp(data, t3di_png_signature, 8) == 0)
        return probe_png(info, data, size, err);
    if (size >= 3 && data[0] == 0xff && data[1] == 0xd8 && data[2] == 0xff)
        return probe_jpeg(info, data, size, err);
    if (size >= 12 && memcmp(data, "RIFF", 4) == 0 && memcmp(data + 8, "WEBP", 4) == 0)
        return probe_webp(info, data, size, err);
    return t3d_err_set(err, T3D_SKIP, "not-an-image",
                       "the bytes are neither PNG, JPEG nor WebP (%zu bytes)", size);
}

int t3d_image_probe(struct t3d_image_info *info, const uint8_t *data, size_t size,
                    struct t3d_err *err)
{
    struct t3d_image_info i = {T3D_IMAGE_UNKNOWN, 0, 0, 0, 0};
    int r = probe_format(&i, data, size, err);

    if (r < 0)
        return r;
    if (!i.width || !i.height)
        return t3d_err_set(err, T3D_SKIP, "bad-image", "the picture is %u x %u pixels", i.width,
                           i.height);
    if (i.width > T3D_IMAGE_MAX_SIDE || i.height > T3D_IMAGE_MAX_SIDE ||
        (uint64_t)i.width * i.height > T3DI_MAX_PIXELS)
        return t3d_err_value(err, T3D_SKIP, "image-too-large", (double)i.width * i.height,
                             "the picture is %u x %u pixels; the limit is %d a side and %d in all",
                             i.width, i.height, T3D_IMAGE_MAX_SIDE, T3DI_MAX_PIXELS);
    *info = i;
    return T3D_OK;
}
